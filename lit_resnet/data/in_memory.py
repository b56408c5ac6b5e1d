"""Data sets that are held in memory: all images, of one size, as one tensor on the device of the run."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lit_resnet.data import folder
from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.dataset import Description, Place, Portion, Settings, Split
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.stream import BatchStream, EvalBatches
from lit_resnet.errors import InputError

# Training images, training labels, test images, test labels: uint8 [N, C, H, W] and int64 [N], on the CPU.
Splits = tuple[Tensor, Tensor, Tensor, Tensor]


class Tensors(ABC):
    """A data set whose images are one tensor: what its two kinds share."""

    cropped = False

    @abstractmethod
    def describe(self, settings: Settings) -> Description:
        """Classes, shape and name; see `DataSet.describe`."""

    @abstractmethod
    def splits(self, settings: Settings) -> Splits:
        """All images and labels, read from the disk.

        Raises:
            InputError: A file is missing or damaged, or the download failed.
        """

    def load(self, settings: Settings) -> tuple[Split[Tensor], Split[Tensor]]:
        """The images to train on and those to test on.

        Raises:
            InputError: As `splits`; or the images or labels are not those of the description.
        """
        splits, (classes, shape, *_) = self.splits(settings), self.describe(settings)
        train, test = splits[:2], splits[2:]
        for images, labels in (train, test):
            if images.shape[1:] != shape or len(images) != len(labels):
                raise InputError(
                    f"{settings.root}: has {len(labels)} labels for images of shape {list(images.shape)}, which is not "
                    f"{settings.source}"
                )
            if labels.min() < 0 or labels.max() >= len(classes):
                wrong = labels.max() if labels.max() >= len(classes) else labels.min()
                raise InputError(
                    f"{settings.root}: has the label {wrong}, but those of {settings.source} are 0 to "
                    f"{len(classes) - 1}"
                )
        return train, test

    def load_test(self, settings: Settings) -> Split[Tensor]:
        """The images to test on."""
        return self.load(settings)[1]

    def mean(self, images: Tensor, settings: Settings) -> Tensor:
        """The mean of each pixel, float32 [C, H, W], in levels."""
        return pixel_mean(images)

    def train(
        self, split: Split[Tensor], mean: Tensor, settings: Settings, place: Place, seed: int, position: int
    ) -> BatchStream:
        """Shuffled batches of random crops and mirror images of the padded images (Sec. 4.2)."""
        images, labels = (part.to(place.device) for part in split)
        augment = CropFlip(mean.to(place.device), settings.pad, settings.flip)
        share = {"rank": place.rank, "world_size": place.world_size}
        return BatchStream(images, labels, augment, settings.batch_size, seed, position, **share)

    def evaluate(self, split: Split[Tensor], mean: Tensor, settings: Settings, place: Place) -> EvalBatches:
        """Batches of the images in their order."""
        images, labels, mean = (part.to(place.device) for part in (*split, mean))
        return EvalBatches(images, labels, mean, settings.batch_size, place.rank, place.world_size)

    def digest(self, split: Split[Tensor]) -> str:
        """SHA-256 of the pixels and labels."""
        digest = hashlib.sha256()
        for part in split:
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def portions(
        self, images: Tensor, settings: Settings, short_sides: Collection[int | None], workers: int | None, size: int
    ) -> Iterator[Portion]:
        """The images as they are, in portions of `size`: `short_sides` is None alone for images that are seen whole."""
        for portion in images.split(size):
            yield [{None: image} for image in portion]


@dataclass(frozen=True)
class InMemory(Tensors):
    """A data set of known classes and shape, read by a function.

    Args:
        classes: How many there are, labels being 0 to classes - 1; or their names in the order of the labels.
        shape: (C, H, W) of every image.
        read: Takes `data.root`, a folder that need not exist, and returns the `Splits`. Raises InputError, one line
            that says what to do, where a file is missing or damaged.
        images: How many images there are to train on, by which `plan` checks `data.val_size`; None where unknown.
    """

    classes: int | tuple[str, ...]
    shape: tuple[int, int, int]
    read: Callable[[Path], Splits]
    images: int | None = None

    def describe(self, settings: Settings) -> Description:
        """The classes and shape of its entry in the table, and the name that the table has for it."""
        if settings.image_size is not None:
            what = f"of one size is {settings.source}"
            raise ValueError(f"image_size is {settings.image_size}: leave it out, {what}; it is for source folder")
        refuse_photographs(settings)
        names = tuple(map(str, range(self.classes))) if isinstance(self.classes, int) else self.classes
        return Description(names, self.shape, settings.source, self.images)

    def splits(self, settings: Settings) -> Splits:
        """All images and labels."""
        return self.read(settings.root)


class ImageFolder(Tensors):
    """Small images in `root/train/<class>/` and `root/test/<class>/` (or `val`); see `folder`."""

    def describe(self, settings: Settings) -> Description:
        """From the names of the folders and the header of one image."""
        refuse_photographs(settings)
        classes, shape = folder.describe(settings.root, settings.image_size)
        return Description(classes, shape, settings.folder_name)

    def splits(self, settings: Settings) -> Splits:
        """All images, from the cache, and their labels."""
        return folder.load(settings.root, settings.image_size)


def refuse_photographs(settings: Settings) -> None:
    """Refuse settings that are for photographs alone.

    Raises:
        ValueError: There are some.
    """
    if settings.photographs != Photographs():
        raise ValueError(f"photographs is {settings.photographs}: leave it out, it is for source imagenet")
