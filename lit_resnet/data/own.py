"""A data set of one's own: anything that makes torch Datasets, named by its dotted path in `data.source`."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch import Tensor

from lit_resnet import own_code
from lit_resnet.data.dataset import Description, Settings
from lit_resnet.data.in_memory import Splits, Tensors, refuse_photographs
from lit_resnet.errors import InputError, shown


class OwnImages(Tensors):
    """What `path(root, train=True)` and `path(root, train=False)` make: Datasets of (image, label), held in memory.

    So are many of torchvision's: `data.source: torchvision.datasets.KMNIST`. An image is one of PIL's, an array
    [H, W] or [H, W, C] or a tensor [C, H, W] of levels (uint8), or a tensor of floats from 0 to 1; all are of one size.
    A Dataset says its classes in an attribute `classes`; without one they are the labels of the training images.

    Args:
        path: The dotted path of a class or a function.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self, settings: Settings) -> Description:
        """From the Dataset to train on, and its first image."""
        if settings.image_size is not None:
            raise ValueError(
                f"image_size is {settings.image_size}: leave it out; {self.path} says how large images are"
            )
        refuse_photographs(settings)
        classes, shape = _description(self.path, settings.root.resolve())
        return Description(classes, shape, self.path.rpartition(".")[2])

    def splits(self, settings: Settings) -> Splits:
        """All images and labels."""
        images, labels, test, test_labels = (
            part for train in (True, False) for part in _read(self.path, _made(self.path, settings.root, train))
        )
        return images, labels, test, test_labels


@lru_cache(maxsize=8)
def _description(path: str, root: Path) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """Names of the classes, and (C, H, W) of the first image."""
    made = _made(path, root, train=True)
    channels, height, width = _pixels(path, _item(path, made, 0)[0]).shape
    classes = getattr(made, "classes", None)
    if classes is None:
        labels = getattr(made, "targets", None)
        labels = _read(path, made)[1] if labels is None else torch.as_tensor(labels)
        classes = range(int(labels.max()) + 1)
    return tuple(map(str, classes)), (channels, height, width)


def _made(path: str, root: Path, train: bool) -> Any:
    """A Dataset with at least one image."""
    make = own_code.attribute(path, "data.source")
    if isinstance(make, type) and issubclass(make, LightningDataModule):
        raise InputError(f"data.source: {path} is a LightningDataModule: write task: own-data, and it as data.module")
    try:
        made = make(root, train=train)
        count = len(made)
    except InputError:
        raise
    except Exception as error:  # whatever somebody's code raises
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"data.source: {path}({shown(str(root))}, train={train}) fails: {words}") from error
    if not count:
        raise InputError(f"data.source: {path}({shown(str(root))}, train={train}) has no images")
    return made


def _read(path: str, made: Any) -> tuple[Tensor, Tensor]:
    """All images, uint8 [N, C, H, W], and labels, int64 [N]."""
    items = [_item(path, made, i) for i in range(len(made))]
    images = [_pixels(path, image) for image, _ in items]
    if shapes := {tuple(image.shape) for image in images[1:]} - {tuple(images[0].shape)}:
        raise InputError(
            f"data.source: {path} has images of {list(images[0].shape)} and of {list(shapes.pop())}: make them of one "
            "size, or lay them out as files for data.source folder"
        )
    return torch.stack(images), torch.tensor([label for _, label in items])


def _item(path: str, made: Any, i: int) -> tuple[Any, int]:
    item = made[i]
    if not isinstance(item, Iterable) or len(pair := list(item)) != 2:
        raise InputError(f"data.source: {path} has items that are no (image, label)")
    try:
        return pair[0], int(pair[1])
    except (TypeError, ValueError):
        raise InputError(f"data.source: {path} has the label {shown(pair[1])}: write whole numbers from 0") from None


def _pixels(path: str, image: Any) -> Tensor:
    """An image as levels: uint8 [C, H, W]."""
    if isinstance(image, Image.Image):
        image = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(image.copy() if image.ndim < 3 else np.ascontiguousarray(image.transpose(2, 0, 1)))
    if not isinstance(image, Tensor) or image.ndim not in (2, 3):
        what = list(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise InputError(f"data.source: {path} has an image that is {what}: give [C, H, W], an array or one of PIL's")
    if image.dtype != torch.uint8:
        floats = image.is_floating_point()
        values, most = (image, 1) if floats else (image.long(), 255)  # PyTorch compares no uint16
        if not ((values >= 0) & (values <= most)).all():  # a NaN is neither
            kind = "floats" if floats else "whole numbers"
            raise InputError(f"data.source: {path} has an image of {kind} beyond 0 and {most}: give levels as uint8")
        image = (255 * image).round() if floats else image
    return image.to(torch.uint8).reshape(-1, *image.shape[-2:])
