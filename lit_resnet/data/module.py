"""The LightningDataModule: one data set, its mean, and the batches that a run sees."""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lit_resnet.data import layout, sources
from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.means import mean_of_photographs
from lit_resnet.data.photo_stream import PhotoBatches, PhotoStream, Reader
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.reading import Damages, default_workers
from lit_resnet.data.stream import BatchStream, Blocks, EvalBatches
from lit_resnet.errors import InputError, did_you_mean

Source = Literal[sources.Source, "imagenet"]
TESTS = ("val", "test")  # ImageNet's own test images have no labels


class ImageData(LightningDataModule):
    """A data set and its batches: held as one tensor on the device of the run, or photographs that are read meanwhile.

    `num_classes`, `in_channels`, `image_shape` (C, H, W) and `name` are known at once, without reading the images.

    The order of the training images and their augmentation come from torch's initial seed, as Lightning's
    `seed_everything` sets it (a seed for all devices alike), and from the number of the batch. A trainer that resumes
    at a step goes on with the batch that it would have had.

    Args:
        source: The data set: `digits` (scikit-learn's 8x8 ones, inside the package), `cifar10`, `cifar100`,
            `fashion-mnist`; `folder` for small images in `root/train/<class>/` and `root/test/<class>/` (or `val`);
            `imagenet` for photographs of any size there, ImageNet's or others.
        root: Folder of the data set. `cifar10`, `cifar100` and `fashion-mnist` are downloaded into it where it lacks
            them; `digits` needs none.
        image_size: Side in pixels, for `folder` only: the shorter side is resized to it and the centre cut out. Needed
            where the images differ in size.
        val_size: Training images held out for validation, always the same ones (the paper: 5000). With 0 all are
            trained on.
        batch_size: Images of a mini-batch of SGD, of all devices together (the paper: 128, for ImageNet 256).
        pad: Pixels of zeros around a training image, from which a crop of its own size is cut at random; not for
            `imagenet`.
        flip: Mirror each training image with probability 1/2.
        photographs: How photographs become images; for `imagenet` only.
        stretch: Iterations of a training step: all those between two evaluations, in a run.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
        InputError: The folder of images is missing, or not as it should be.
    """

    def __init__(
        self,
        source: Source = "cifar10",
        root: str = "data",
        image_size: int | None = None,
        val_size: int = 0,
        batch_size: int = 128,
        pad: int = 4,
        flip: bool = True,
        photographs: Photographs = Photographs(),  # noqa: B008 (frozen; shown as the default in --help)
        stretch: int = 1,
    ) -> None:
        super().__init__()
        if source not in get_args(Source):
            near = did_you_mean(source, get_args(Source))
            raise ValueError(f"source is {source!r}: write one of {', '.join(get_args(Source))}{near}")
        if image_size is not None and source != "folder":
            what = "photographs.crop is that of" if source == "imagenet" else "of one size is"
            raise ValueError(f"image_size is {image_size}: leave it out, {what} {source}; it is for source folder")
        if source != "imagenet" and photographs != Photographs():
            raise ValueError(f"photographs is {photographs}: leave it out, it is for source imagenet")
        for name, value, least in (
            ("image_size", image_size, 1),
            ("val_size", val_size, 0),
            ("batch_size", batch_size, 1),
            ("pad", pad, 0),
            ("stretch", stretch, 1),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}: write {least} or more")
        self.source, self.root, self.image_size = source, Path(root).expanduser(), image_size
        self.val_size, self.batch_size, self.pad, self.flip = val_size, batch_size, pad, flip
        self.photographs = photographs
        if source == "imagenet":
            classes = layout.class_names(self.root, TESTS)
            self.num_classes, self.image_shape = len(classes), (3, photographs.crop, photographs.crop)
        else:
            self.num_classes, self.image_shape = sources.describe(source, self.root, image_size)
        self.in_channels = self.image_shape[0]
        of_a_folder = source == "folder" or (source == "imagenet" and not layout.is_imagenet(classes))
        self.name = f"folder:{self.root.resolve().name}" if of_a_folder else source
        self.stretch = stretch
        self.mean: Tensor | None = None  # of the training images, in levels: [C, H, W], or [C, 1, 1] of photographs
        self._splits: sources.Splits | None = None  # between prepare_data and setup, where one process does both
        self._damages = Damages(photographs.damaged)
        self._stream: PhotoStream | None = None

    @property
    def damaged_files(self) -> list[str]:
        """Photographs that were skipped because they are damaged, so far; those of earlier attempts included."""
        return sorted(self._damages.named)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the mean, so that an evaluation needs no training images, and the damaged files."""
        return {"mean": self.mean, "damaged": self.damaged_files}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept; the mean is made from the images before."""
        self._damages.named.update(state["damaged"])

    def check(self, config: Namespace) -> None:
        """Refuse a run's config that asks for views which these images do not have.

        Raises:
            InputError: With what to write instead.
        """
        asked = config.get("evaluate") or []
        if self.source != "imagenet" and set(asked) - {"center"}:
            raise InputError(f"evaluate is {asked}: crops and scales are for data.source imagenet")

    @property
    def test_files(self) -> tuple[list[Path], Tensor]:
        """The test photographs and their labels, int64 [N].

        Raises:
            InputError: The folder of images is not as it should be.
        """
        files, labels = layout.test_images(self.root, TESTS)
        return [Path(file) for file in files], labels

    def prepare_data(self) -> None:
        """Download the data set, decode its images into the cache, or take the mean; in one process of a machine.

        Raises:
            InputError: A file is missing or damaged, or the download failed.
        """
        self._splits = self._load()
        if self.source == "imagenet":
            self.setup("fit")  # the other processes then find the mean

    def setup(self, stage: str) -> None:
        """Read the images, or their names; hold out those for validation, take the mean of those that are trained on.

        Raises:
            InputError: As in `prepare_data`; or there are not more images than are to be held out.
        """
        if self.mean is not None:
            return
        images, labels, *self.test = self._splits or self._load()
        self._splits = None
        if self.val_size >= len(images):
            raise InputError(
                f"val_size is {self.val_size}, but there are {len(images)} training images: write a smaller one"
            )
        self.train, self.val = [images, labels], None
        if self.val_size:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
            val, train = order[: self.val_size], order[self.val_size :]
            self.train, self.val = [_taken(images, train), labels[train]], [_taken(images, val), labels[val]]
        self.mean = self._mean()
        self.seed = torch.initial_seed()

    def train_dataloader(self) -> Blocks:
        """An endless stream, on the trainer's device, at the trainer's step, in blocks of `stretch` iterations.

        Raises:
            InputError: The devices do not divide the batch.
        """
        device, shard = self._place()
        if self.batch_size % shard["world_size"]:
            raise InputError(
                f"data.batch_size is {self.batch_size}, which {shard['world_size']} devices do not divide: write a "
                "multiple of that, or train on another number of them"
            )
        position = self.trainer.global_step if self.trainer else 0
        place = {"batch_size": self.batch_size, "seed": self.seed, "position": position, **shard}
        if self.source == "imagenet":
            stream = self._stream = PhotoStream(*self.train, self._reader(device), self.flip, **place)
        else:
            images, labels = (part.to(device) for part in self.train)
            stream = BatchStream(images, labels, CropFlip(self.mean.to(device), self.pad, self.flip), **place)
        return Blocks(stream, self.stretch)

    def val_dataloader(self) -> list[EvalBatches | PhotoBatches]:
        """What is evaluated during training: the test images, for the curves; and those held out, for choices."""
        return [self._eval_batches(split) for split in (self.test, self.val) if split]

    def test_dataloader(self) -> EvalBatches | PhotoBatches:
        return self._eval_batches(self.test)

    def test_batches(self, device: torch.device) -> EvalBatches | PhotoBatches:
        """All test images on one device, also where several train: for what is measured once."""
        return self._batches(self.test, device)

    def teardown(self, stage: str) -> None:
        """End the worker processes of the stream."""
        if self._stream:
            self._stream.close()

    def _load(self) -> tuple[Tensor | list[str], Tensor, Tensor | list[str], Tensor]:
        """Images, or the names of their files, and labels: to train on and to test on."""
        if self.source == "imagenet":
            return *layout.training_images(self.root, TESTS), *layout.test_images(self.root, TESTS)
        return sources.load(self.source, self.root, self.image_size)

    def _mean(self) -> Tensor:
        images = self.train[0]
        if self.source == "imagenet":
            # All cores: while one process makes it, those of the other devices wait.
            workers = default_workers() if self.photographs.workers is None else self.photographs.workers
            return mean_of_photographs(self.root, images, self.photographs, workers, self._damages)
        return pixel_mean(images)

    def _eval_batches(self, split: list) -> EvalBatches | PhotoBatches:
        device, shard = self._place()
        return self._batches(split, device, **shard)

    def _batches(self, split: list, device: torch.device, **shard: int) -> EvalBatches | PhotoBatches:
        if self.source == "imagenet":
            return PhotoBatches(*split, self._reader(device), self.batch_size, **shard)
        return EvalBatches(*(part.to(device) for part in (*split, self.mean)), self.batch_size, **shard)

    def _reader(self, device: torch.device) -> Reader:
        return Reader(self.photographs, self.mean, device, self._workers(), self._damages)

    def _workers(self) -> int:
        """Worker processes of this device."""
        if self.photographs.workers is not None:
            return self.photographs.workers
        return default_workers(self.trainer.num_devices if self.trainer else 1)

    def _place(self) -> tuple[torch.device, dict[str, int]]:
        """The device of the run, and which part of the images it gets; the CPU and all where there is no trainer."""
        if self.trainer is None:
            return torch.device("cpu"), {"rank": 0, "world_size": 1}
        shard = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        return self.trainer.strategy.root_device, shard


def _taken(images: Tensor | list[str], index: Tensor) -> Tensor | list[str]:
    return images[index] if isinstance(images, Tensor) else [images[i] for i in index.tolist()]
