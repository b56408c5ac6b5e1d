"""The LightningDataModule: one data set, its mean, and the batches that a run sees."""

from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lit_resnet.data import sources
from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.stream import BatchStream, Blocks, EvalBatches
from lit_resnet.errors import InputError, did_you_mean


class ImageData(LightningDataModule):
    """A data set held as one tensor on the device of the run, and its batches.

    `num_classes`, `in_channels`, `image_shape` (C, H, W) and `name` are known at once, without reading the images.

    The order of the training images and their augmentation come from torch's initial seed, as Lightning's
    `seed_everything` sets it (a seed for all devices alike), and from the number of the batch. A trainer that resumes
    at a step goes on with the batch that it would have had.

    Args:
        source: The data set: `digits` (scikit-learn's 8x8 ones, inside the package), `cifar10`, `cifar100`,
            `fashion-mnist`, or `folder` for images in `root/train/<class>/` and `root/test/<class>/` (or `val`).
        root: Folder of the data set. `cifar10`, `cifar100` and `fashion-mnist` are downloaded into it where it lacks
            them; `digits` needs none.
        image_size: Side in pixels, for `folder` only: the shorter side is resized to it and the centre cut out. Needed
            where the images differ in size.
        val_size: Training images held out for validation, always the same ones (the paper: 5000). With 0 all are
            trained on.
        batch_size: Images of a batch on each device.
        pad: Pixels of zeros around a training image, from which a crop of its own size is cut at random.
        flip: Mirror each training image with probability 1/2.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
        InputError: The folder of images is missing, or not as it should be.
    """

    def __init__(
        self,
        source: sources.Source = "cifar10",
        root: str = "data",
        image_size: int | None = None,
        val_size: int = 0,
        batch_size: int = 128,
        pad: int = 4,
        flip: bool = True,
    ) -> None:
        super().__init__()
        if source not in sources.SOURCES:
            near = did_you_mean(source, sources.SOURCES)
            raise ValueError(f"source is {source!r}: write one of {', '.join(sources.SOURCES)}{near}")
        if image_size is not None and source != "folder":
            raise ValueError(
                f"image_size is {image_size}: leave it out, {source} has one size; it is for source folder"
            )
        for name, value, least in (
            ("image_size", image_size, 1),
            ("val_size", val_size, 0),
            ("batch_size", batch_size, 1),
            ("pad", pad, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}: write {least} or more")
        self.source, self.root, self.image_size = source, Path(root).expanduser(), image_size
        self.val_size, self.batch_size, self.pad, self.flip = val_size, batch_size, pad, flip
        self.num_classes, self.image_shape = sources.describe(source, self.root, image_size)
        self.in_channels = self.image_shape[0]
        self.name = f"folder:{self.root.resolve().name}" if source == "folder" else source
        self._splits: sources.Splits | None = None  # between prepare_data and setup, where one process does both
        self.block = 1  # iterations of a training step
        self.mean: Tensor | None = None  # per-pixel mean of the training images [C, H, W], in levels

    def prepare_data(self) -> None:
        """Download the data set, or decode the images into the cache; in one process of a machine.

        Raises:
            InputError: A file is missing or damaged, or the download failed.
        """
        self._splits = sources.load(self.source, self.root, self.image_size)

    def setup(self, stage: str) -> None:
        """Read the images, hold out the validation images and take the mean of those that are trained on.

        Raises:
            InputError: As in `prepare_data`; or there are not more images than are to be held out.
        """
        if self.mean is not None:
            return
        images, labels, *self.test = self._splits or sources.load(self.source, self.root, self.image_size)
        self._splits = None
        if self.val_size >= len(images):
            raise InputError(
                f"val_size is {self.val_size}, but there are {len(images)} training images: write a smaller one"
            )
        self.train, self.val = [images, labels], None
        if self.val_size:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
            val, train = order[: self.val_size], order[self.val_size :]
            self.train, self.val = [images[train], labels[train]], [images[val], labels[val]]
        self.mean = pixel_mean(self.train[0])
        self.seed = torch.initial_seed()

    def train_dataloader(self) -> Blocks:
        """An endless stream, on the trainer's device, at the trainer's step, in blocks of `block` iterations."""
        device, shard = self._place()
        augment = CropFlip(self.mean.to(device), self.pad, self.flip)
        position = self.trainer.global_step if self.trainer else 0
        images, labels = (part.to(device) for part in self.train)
        return Blocks(BatchStream(images, labels, augment, self.batch_size, self.seed, position, **shard), self.block)

    def val_dataloader(self) -> list[EvalBatches]:
        """What is evaluated during training: the test images, for the curves; and those held out, for choices."""
        return [self._eval_batches(split) for split in (self.test, self.val) if split]

    def test_dataloader(self) -> EvalBatches:
        return self._eval_batches(self.test)

    def test_batches(self, device: torch.device) -> EvalBatches:
        """All test images on one device, also where several train: for what is measured once."""
        return EvalBatches(*(part.to(device) for part in (*self.test, self.mean)), self.batch_size)

    def _eval_batches(self, split: list[Tensor]) -> EvalBatches:
        device, shard = self._place()
        images, labels = (part.to(device) for part in split)
        return EvalBatches(images, labels, self.mean.to(device), self.batch_size, **shard)

    def _place(self) -> tuple[torch.device, dict[str, int]]:
        """The device of the run, and which part of the images it gets; the CPU and all where there is no trainer."""
        if self.trainer is None:
            return torch.device("cpu"), {}
        shard = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        return self.trainer.strategy.root_device, shard
