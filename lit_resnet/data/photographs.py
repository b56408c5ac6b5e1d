"""Photographs of any size (Sec. 3.4): how they are configured, read, resized and cropped; one at a time, as uint8."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image  # here, so that workers need not import it

from lit_resnet.errors import InputError, check_choices


@dataclass(frozen=True)
class Photographs:
    """How photographs become images to train and to test on; the defaults are the paper's.

    Args:
        short_side: The least and the most that the shorter side of a training image is resized to; drawn uniformly.
        crop: Side of the random crop of it, and of the centre crop of a test image.
        test_short_side: What the shorter side of a test image is resized to.
        colour: Standard deviation of the shifts along the principal components of ImageNet's colours, by which
            training images are altered as in AlexNet; 0 for none.
        mean: What is subtracted. `channel` is one number a channel, which fits views of every size, as dense testing
            needs them; `pixel` is the mean image of the centre crops, as the paper says. They are next to the same:
            the mean of crops from all over the photographs is nearly flat.
        damaged: What to do with an image that cannot be read: `fail`, or `skip` it. In training the next one in the
            order then takes its place, and in evaluation it does not count.
        workers: Processes that read the images, for each device; none for as many as the machine has cores to spare.
        decode: Where JPEGs are decoded and resized: by the `workers`, or on the `device`, which for an NVIDIA GPU is
            faster where there are few cores. Another decoder, whose pixels may differ by a
            level or two.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    short_side: tuple[int, int] = (256, 480)
    crop: int = 224
    test_short_side: int = 256
    colour: float = 0.1
    mean: Literal["channel", "pixel"] = "channel"
    damaged: Literal["fail", "skip"] = "fail"
    workers: int | None = None
    decode: Literal["workers", "device"] = "workers"

    def __post_init__(self) -> None:
        check_choices(self)
        for field, value, least in (("crop", self.crop, 1), ("colour", self.colour, 0), ("workers", self.workers, 0)):
            if value is not None and value < least:
                raise ValueError(f"{field} is {value}: write {least} or more")
        least, most = self.short_side
        if least > most:
            raise ValueError(f"short_side is [{least}, {most}]: write the smaller one first")
        if least < self.crop:
            raise ValueError(f"short_side begins at {least}: write the crop ({self.crop}) or more, or a smaller crop")
        if self.test_short_side < self.crop:
            raise ValueError(
                f"test_short_side is {self.test_short_side}: write the crop ({self.crop}) or more, or a smaller crop"
            )


class Damaged(InputError):
    """A file that is no image that can be used; `path` is its own."""

    def __init__(self, path: Path | str, what: str = "not an image, or a damaged one: replace it") -> None:
        super().__init__(path, what)  # what pickle makes it of anew, on its way out of a worker
        self.path = str(path)

    def __str__(self) -> str:
        return "{}: {}".format(*self.args)


def read_photograph(path: Path | str) -> Tensor:
    """One image as RGB, uint8 [3, H, W]; greyscale, palette and CMYK converted, alpha dropped, EXIF's turns ignored.

    In memory it has its channels last, as the decoder wrote it.

    Raises:
        Damaged: It cannot be read, is no image, a damaged one, or one of 16 bits or several frames.
    """
    try:
        image = decode_image(str(path), ImageReadMode.RGB)
    except RuntimeError:
        raise Damaged(path) from None
    if image.dtype != torch.uint8 or image.ndim != 3:
        raise Damaged(path, "has 16 bits a channel or several frames: convert it to a still image of 8 bits")
    return image


def resized(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width after the shorter of them became `short_side`, as torchvision's Resize has them."""
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def resize_short_side(image: Tensor, size: int) -> Tensor:
    """uint8 [3, H, W] -> uint8 [3, h, w], of which the shorter is `size`: bilinear, antialiased."""
    to = resized(*image.shape[1:], size)
    return image if to == image.shape[1:] else _interpolate(image, size=to)


def centre(image: Tensor, crop: int) -> Tensor:
    """The middle of an image [3, H, W] that is large enough -> [3, crop, crop]."""
    top, left = (image.shape[1] - crop) // 2, (image.shape[2] - crop) // 2
    return image[:, top : top + crop, left : left + crop]


def resized_crop(image: Tensor, size: tuple[int, int], top: int, left: int, crop: int) -> Tensor:
    """A window of the image after resizing: `resize(image, size)[:, top : top + crop, left : left + crop]`.

    Resizes no more than the part that is above and left of the window's far corner: to within rounding the same pixels,
    for little more than half the arithmetic. (A part that begins elsewhere would lie between the pixels of the whole.)

    Args:
        image: uint8 [3, H, W].
        size: Height and width of the resized image.
        top: First row of the window there.
        left: First column.
        crop: Side of the window.
    """
    ends, scales = [], []
    for old, new, start in zip(image.shape[1:], size, (top, left), strict=True):
        step, scale = old / new, (new + 1e-6) / old  # a little more, as interpolate rounds the new size down
        end = min(old, math.ceil(step * (start + crop) + max(step, 1)) + 1)  # with all that is averaged there
        ends.append(old if int(end * scale) == end else end)  # as it does nothing where the size stays the same
        scales.append(scale)
    part = _interpolate(image[:, : ends[0], : ends[1]], scale_factor=tuple(scales))
    return part[:, top : top + crop, left : left + crop]


def _interpolate(image: Tensor, **to: tuple[float, float]) -> Tensor:
    """To a size or by factors; GPUs do it in floats."""
    part = image[None] if image.device.type == "cpu" else image[None].float()
    part = F.interpolate(part, mode="bilinear", antialias=True, **to)[0]
    return part if image.device.type == "cpu" else part.round_().clamp_(0, 255).byte()
