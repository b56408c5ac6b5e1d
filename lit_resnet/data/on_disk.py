"""Data sets that stay on disk: photographs of any size, read by worker processes while a net trains on them."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data import layout
from lit_resnet.data.archives import entry
from lit_resnet.data.dataset import Description, Place, Portion, Settings, Split
from lit_resnet.data.layout import VAL_THEN_TEST
from lit_resnet.data.means import mean_of_photographs
from lit_resnet.data.photo_stream import PhotoBatches, PhotoStream, Reader
from lit_resnet.data.photographs import resize_short_side
from lit_resnet.data.reading import default_workers, read_in_order


class OnDisk:
    """Photographs in `root/train/<class>/` and `root/val/<class>/`: ImageNet, or a folder like it; see `layout`."""

    cropped = True

    def describe(self, settings: Settings) -> Description:
        """From the names of the folders alone; the name of the data set is `imagenet` if the classes are ImageNet's."""
        if settings.image_size is not None:
            what = f"photographs.crop is that of {settings.source}"
            raise ValueError(f"image_size is {settings.image_size}: leave it out, {what}; it is for source folder")
        classes = layout.class_names(settings.root, VAL_THEN_TEST)
        name = "imagenet" if layout.is_imagenet(classes) else settings.folder_name
        crop = settings.photographs.crop
        return Description(tuple(classes), (3, crop, crop), name)

    def load(self, settings: Settings) -> tuple[Split[list[str]], Split[list[str]]]:
        """The files to train on and those to test on, and their labels."""
        return layout.training_images(settings.root, VAL_THEN_TEST), self.load_test(settings)

    def load_test(self, settings: Settings) -> Split[list[str]]:
        """The files to test on, and their labels."""
        return layout.test_images(settings.root, VAL_THEN_TEST)

    def mean(self, images: list[str], settings: Settings) -> Tensor:
        """The mean of the centre crops, [3, 1, 1] or [3, crop, crop], in levels; from the cache if it is there."""
        # All cores: while one process makes it, those of the other devices wait.
        workers = _first(settings.photographs.workers, default_workers())
        return mean_of_photographs(settings.root, images, settings.photographs, workers, settings.damages)

    def train(
        self, split: Split[list[str]], mean: Tensor, settings: Settings, place: Place, seed: int, position: int
    ) -> PhotoStream:
        """Shuffled batches of random crops of randomly resized photographs, mirrored, in altered colours (Sec. 3.4)."""
        reader, share = _reader(mean, settings, place), {"rank": place.rank, "world_size": place.world_size}
        return PhotoStream(*split, reader, settings.flip, settings.batch_size, seed, position, **share)

    def evaluate(self, split: Split[list[str]], mean: Tensor, settings: Settings, place: Place) -> PhotoBatches:
        """Batches of the centre crops, in the order of the files."""
        reader = _reader(mean, settings, place)
        return PhotoBatches(*split, reader, settings.batch_size, place.rank, place.world_size)

    def digest(self, split: Split[list[str]]) -> str:
        """SHA-256 of the names and sizes of the files, and of the labels.

        Raises:
            InputError: A file is missing.
        """
        digest = hashlib.sha256(repr(list(map(entry, split[0]))).encode())
        digest.update(split[1].contiguous().numpy().data)
        return digest.hexdigest()

    def portions(
        self,
        images: list[str],
        settings: Settings,
        short_sides: Collection[int | None],
        workers: int | None,
        size: int,
    ) -> Iterator[Portion]:
        """The photographs, decoded and resized by worker processes, in portions of `size`."""
        view = partial(_resized, short_sides=tuple(short_sides))
        workers = _first(workers, settings.photographs.workers, default_workers())
        for portion in read_in_order(images, view, workers, size, settings.photographs.damaged):
            yield [
                None if sides is None else {side: torch.from_numpy(image) for side, image in sides.items()}
                for sides in portion
            ]


def _reader(mean: Tensor, settings: Settings, place: Place) -> Reader:
    workers = _first(settings.photographs.workers, default_workers(place.on_machine))
    return Reader(settings.photographs, mean, place.device, workers, settings.damages)


def _first(*numbers: int | None) -> int:
    """The first number that is not None."""
    return next(number for number in numbers if number is not None)


def _resized(image: Tensor, short_sides: Sequence[int | None]) -> dict[int | None, np.ndarray]:
    """A photograph at each of these shorter sides: in arrays, as a tensor from a worker takes a file descriptor."""
    views = {side: image if side is None else resize_short_side(image, side) for side in short_sides}
    return {side: view.contiguous().numpy() for side, view in views.items()}
