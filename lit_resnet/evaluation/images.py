"""The images that nets are judged on: photographs in files, or a small data set held as one tensor."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import resize_short_side
from lit_resnet.data.reading import default_workers, read_in_order
from lit_resnet.errors import InputError
from lit_resnet.evaluation import Protocol
from lit_resnet.evaluation.cache import BLOCK
from lit_resnet.evaluation.views import View, views_of

Block = list[dict[int | None, Tensor] | None]  # images at each shorter side that is wanted; None for a damaged one


class Files:
    """The validation images of ImageNet, or of a folder like it: read, decoded and resized by worker processes.

    `digest` stands for their names, sizes and labels: nets with the same one are judged on the same images.
    """

    def __init__(self, data: ImageData) -> None:
        self.name, self.settings = data.name, data.photographs
        self.files, self.labels = data.test_files
        names = [(file.parent.name, file.name, file.stat().st_size) for file in self.files]
        self.digest = _sha256(repr(names), self.labels)

    def views(self, protocol: Protocol, scales: Sequence[int] | None = None) -> list[View]:
        return views_of(protocol, self.settings, scales)

    def blocks(self, short_sides: Collection[int], start: int, workers: int | None) -> Iterator[Block]:
        """The images from number `start` on, in order, at these shorter sides."""
        view = partial(_resized, short_sides=tuple(short_sides))
        wanted = [workers, self.settings.workers, default_workers()]
        workers = next(number for number in wanted if number is not None)
        for block in read_in_order(self.files[start:], view, workers, BLOCK, self.settings.damaged):
            yield [
                None if sides is None else {side: torch.from_numpy(image) for side, image in sides.items()}
                for sides in block
            ]


def _resized(image: Tensor, short_sides: Sequence[int]) -> dict[int, np.ndarray]:
    """A photograph at each of these shorter sides; as arrays, for each tensor from a worker takes a file descriptor."""
    return {side: resize_short_side(image, side).contiguous().numpy() for side in short_sides}


class Tensors:
    """The test images of a small data set, each seen as it is."""

    def __init__(self, data: ImageData) -> None:
        data.setup("test")
        self.name = data.name
        self.images, self.labels = data.test
        self.digest = _sha256(self.images, self.labels)

    def views(self, protocol: Protocol, scales: Sequence[int] | None = None) -> list[View]:
        if protocol != "center":
            raise InputError(
                f"--protocol {protocol}: the images of {self.name} are small and seen whole; write center. "
                "Crops and scales are for data.source imagenet"
            )
        return [View("center")]

    def blocks(self, short_sides: Collection[None], start: int, workers: int | None) -> Iterator[Block]:
        for images in self.images[start:].split(BLOCK):
            yield [{None: image} for image in images]


TestImages = Files | Tensors


def test_images(data: ImageData) -> TestImages:
    """What nets that were trained on `data` are judged on.

    Raises:
        InputError: A folder or file is missing or damaged.
    """
    return Files(data) if data.source == "imagenet" else Tensors(data)


def _sha256(*parts: str | Tensor) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.contiguous().numpy())
    return digest.hexdigest()
