"""The views of an image that a net is judged by, and the views that each protocol averages over (Sec. 3.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_resnet.data.photographs import Photographs, centre
from lit_resnet.errors import InputError
from lit_resnet.evaluation import Testing

SCALES = (224, 256, 384, 480, 640)  # shorter sides in the paper, whose nets are trained on crops of 224
PAPER_CROP = 224


@dataclass(frozen=True)
class View:
    """The parts of an image that are shown to a net, which averages its scores over them.

    Args:
        kind: `center`, the crop in the middle; `ten-crop`, that one, those in the corners, and the mirror images of all
            five; `dense`, the whole image and its mirror image, in fully-convolutional form.
        short_side: Size that the shorter side of an image is resized to; None if images are not resized.
        crop: Side of the crops that the net was trained on; None if it was trained on whole images.
    """

    kind: Literal["center", "ten-crop", "dense"]
    short_side: int | None = None
    crop: int | None = None

    def __str__(self) -> str:
        return f"dense-{self.short_side}" if self.kind == "dense" else self.kind

    @property
    def mirrored(self) -> bool:
        """Whether mirror images are shown, too."""
        return self.kind != "center"

    @property
    def trained_crop(self) -> int:
        """The side of the training crops, for a view that has them: every dense view does."""
        assert self.crop is not None
        return self.crop

    def cut(self, images: Sequence[Tensor]) -> Tensor:
        """Cut the crops, without mirror images, out of N images: uint8 [C, h, w] each -> [N, crops, C, height, width].

        The images of a dense view must be of one size.
        """
        if self.kind == "dense" or self.crop is None:
            return torch.stack(list(images))[:, None]
        if self.kind == "center":
            return torch.stack([centre(image, self.crop) for image in images])[:, None]
        return torch.stack([five_crops(image, self.crop) for image in images])


def views_of(protocol: Testing, photographs: Photographs, scales: Sequence[int] | None = None) -> list[View]:
    """The views whose scores a protocol averages, for a net that was trained with these settings.

    Args:
        protocol: How it is judged.
        photographs: The sizes of its training crops, and of the resized image that test crops are cut from.
        scales: Shorter sides of `multi-scale`; None for the paper's, in proportion to the training crop.

    Raises:
        InputError: A scale is smaller than the crops, or is given twice.
    """
    crop = photographs.crop
    if protocol != "multi-scale":
        return [View(protocol, photographs.test_short_side, crop)]
    scales = scales or [round(side * crop / PAPER_CROP) for side in SCALES]
    for side in scales:
        if side < crop or scales.count(side) > 1:
            what = f"smaller than the net's crops of {crop}" if side < crop else "there twice"
            raise InputError(f"--scales: {side} is {what}; the paper's are {' '.join(map(str, SCALES))}")
    return [View("dense", side, crop) for side in scales]


def five_crops(image: Tensor, crop: int) -> Tensor:
    """Upper left, upper right, lower left, lower right and centre of an image [3, h, w]: [5, 3, crop, crop]."""
    corners = [image[:, top][:, :, left] for top in _ends(crop) for left in _ends(crop)]
    return torch.stack([*corners, centre(image, crop)])


def _ends(crop: int) -> tuple[slice, slice]:
    return slice(None, crop), slice(-crop, None)
