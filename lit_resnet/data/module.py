"""The LightningDataModule: one data set, its mean, and the batches that a run sees."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lit_resnet import data_sets
from lit_resnet.data import sources
from lit_resnet.data.class_names import check_classes
from lit_resnet.data.dataset import DataSet, Images, Place, Settings, Split
from lit_resnet.data.order import check_shared
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.stream import Batch, Batches, Epochs, Stream, Stretches, cut
from lit_resnet.data_sets import MOST_PIXELS
from lit_resnet.errors import InputError, check_range, shown

MOST_BATCH, MOST_IMAGES = 2**20, 10**12  # beyond which a number is a slip


class ImageData(LightningDataModule):
    """A data set and its batches: one tensor on the device of the run, or photographs that are read while a net trains.

    `num_classes`, `in_channels`, `image_shape` (C, H, W) and `name` are known at once, without reading the images.
    `train`, `val` (None where none are held out), `test`, each images and labels, and `mean` are there after `setup`.

    The order of the training images and their augmentation come from torch's initial seed, as Lightning's
    `seed_everything` sets it (a seed for all devices alike), and from the number of the batch. A trainer that resumes
    at a step goes on with the batch that it would have had.

    Args:
        source: The data set: `digits` (scikit-learn's 8x8 ones, inside the package), `cifar10`, `cifar100`,
            `fashion-mnist`; `folder` for small images in `root/train/<class>/` and `root/test/<class>/` (or `val`);
            `imagenet` for photographs of any size there, ImageNet's or others; another entry of
            `lit_resnet.data.sources.DATA_SETS`; or the dotted path of your own, such as `mypackage.birds` or
            `torchvision.datasets.KMNIST` (see `lit_resnet.data.own`).
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
        stretch: In a run, which has iterations and no epochs: the iterations of a training step. None for a Trainer of
            one's own: a step is then one iteration, and an epoch one pass over the training images.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
        InputError: The folder of images is missing, or not as it should be.
    """

    mean: Tensor  # of the training images, in levels: [C, H, W], or [C, 1, 1] of photographs

    def __init__(
        self,
        source: str = data_sets.DEFAULT,
        root: str = "data",
        image_size: int | None = None,
        val_size: int = 0,
        batch_size: int = 128,
        pad: int = 4,
        flip: bool = True,
        photographs: Photographs = Photographs(),  # noqa: B008 (frozen; shown as the default in --help)
        stretch: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(
            {"source": source, "root": str(root), "image_size": image_size, "val_size": val_size}
            | {"batch_size": batch_size, "pad": pad, "flip": flip, "photographs": asdict(photographs)}
        )
        self.data_set: DataSet[Any] = sources.find(source)
        for name, value, least, most in (
            ("image_size", image_size, 1, MOST_PIXELS),
            ("val_size", val_size, 0, MOST_IMAGES),
            ("batch_size", batch_size, 1, MOST_BATCH),
            ("pad", pad, 0, MOST_PIXELS),
            ("stretch", stretch, 1, MOST_IMAGES),
        ):
            if value is not None:
                check_range(name, value, least, most)
        self.settings = Settings(source, folder_of(root), image_size, batch_size, pad, flip, photographs)
        self.classes, self.image_shape, self.name, images = self.data_set.describe(self.settings)
        if images is not None:
            _check_val_size(val_size, images)
        self.num_classes, self.in_channels = len(self.classes), self.image_shape[0]
        self.val_size, self.batch_size, self.stretch = val_size, batch_size, stretch
        self.degenerate_boxes: list[str] = []  # classification has no boxes
        self._loaded = False
        self._stream: Stream[Batch] | None = None

    @property
    def damaged_files(self) -> list[str]:
        """Photographs that were skipped so far because they are damaged, in this attempt and those before it."""
        return sorted(self.settings.damages.named)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the damaged files, and what is needed to use the net without its data set."""
        mean = {"mean": self.mean} if self._loaded else {}  # not before `setup`
        short_side = self.settings.photographs.test_short_side if self.data_set.cropped else None
        kept = {"classes": list(self.classes), "image_shape": list(self.image_shape), "short_side": short_side}
        return mean | kept | {"damaged": self.damaged_files}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint's damaged files. Its mean is not read: `setup` has computed it from the images.

        Raises:
            InputError: Its classes are others, or in another order, so that its labels are not those of these images.
        """
        check_classes(self.classes, state.get("classes"), str(self.name))
        self.settings.damages.named.update(state["damaged"])

    def check(self, config: Namespace) -> None:
        """Refuse a run's config that asks for views which these images do not have.

        Raises:
            InputError: With what to write instead.
        """
        asked = config.get("evaluate") or []
        if not self.data_set.cropped and set(asked) - {"center"}:
            raise InputError(f"evaluate is {asked}: crops and scales are for data.source imagenet")

    def prepare_data(self) -> None:
        """Download the data set and fill the caches, in one process of each machine; the others find the files.

        Lightning calls it before `setup`.

        Raises:
            InputError: As in `setup`.
        """
        self.setup("fit")

    def setup(self, stage: str) -> None:
        """Read the images, or their names; hold out those for validation, take the mean of those that are trained on.

        Raises:
            InputError: A file is missing or damaged, the download failed, or there are not more images than are to be
                held out.
        """
        if self._loaded:
            return
        (images, labels), self.test = self.data_set.load(self.settings)
        try:
            _check_val_size(self.val_size, len(images))
        except ValueError as error:
            raise InputError(str(error)) from None
        self.train, self.val = (images, labels), None
        if self.val_size:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
            val, train = order[: self.val_size], order[self.val_size :]
            self.train, self.val = (_taken(images, train), labels[train]), (_taken(images, val), labels[val])
        self.mean = self.data_set.mean(self.train[0], self.settings)
        self.seed = torch.initial_seed()
        self._loaded = True

    def train_dataloader(self) -> Stretches | Iterable[Batch]:
        """Batches on the trainer's device, from the trainer's step on.

        In a run: up to its last iteration, in stretches of `stretch` iterations if that is more than one. Else: epochs,
        which end after the last image has been drawn.

        Raises:
            InputError: The devices do not divide the batch.
        """
        place = self._place()
        check_shared(self.batch_size, place.world_size)
        if self.stretch is None:
            return Epochs(self._from, -(-len(self.train[1]) // self.batch_size), self._position)
        return cut(self._from(self._position()), self.stretch, self.trainer.max_steps if self.trainer else -1)

    def following(self, position: int) -> Stream:
        """The training batches from number `position` on, without end, also those beyond the last iteration of a run.

        The stream of batches before ends.
        """
        return self._from(position)

    def _position(self) -> int:
        """The batch to go on with: that of the Trainer's step, or the first where every epoch is to have the same."""
        trainer = self.trainer
        overfit = trainer and trainer.overfit_batches > 0  # pyright: ignore[reportAttributeAccessIssue] (undeclared)
        return trainer.global_step if trainer and not overfit else 0

    def _from(self, position: int) -> Stream[Batch]:
        """The stream of batches from a position on; that from another one ends."""
        self.teardown("fit")
        self._stream = self.data_set.train(self.train, self.mean, self.settings, self._place(), self.seed, position)
        return self._stream

    def val_dataloader(self) -> list[Batches]:
        """What is evaluated during training: the test images, for the curves; and those held out, for choices."""
        return [self._batches(split, self._place()) for split in (self.test, self.val) if split]

    def test_dataloader(self) -> Batches:
        """The test images."""
        return self._batches(self.test, self._place())

    def predict_dataloader(self) -> Batches:
        """The test images."""
        return self.test_dataloader()

    def test_batches(self, device: torch.device) -> Batches:
        """Batches of all test images for one device, even where several train: for measurements that are made once."""
        return self._batches(self.test, Place(device, on_machine=self._place().on_machine))

    def test_count(self) -> int:
        """How many test images there are, damaged ones among them."""
        return len(self.test_split()[1])

    def test_split(self) -> Split[Images]:
        """The test images, or their files, and their labels; loads no training images where the data set allows that.

        Raises:
            InputError: A file is missing or damaged, or the download failed.
        """
        return self.test if self._loaded else self.data_set.load_test(self.settings)

    def known_evaluated(self) -> int:
        """How many images an evaluation takes, held-out ones too, where the data set is a published one; else 0."""
        tested = data_sets.PUBLISHED.get(self.name or "", 0)
        return tested and tested + self.val_size

    def test_digest(self) -> str:
        """A SHA-256 of the test images and their labels."""
        return self.data_set.digest(self.test_split())

    def teardown(self, stage: str) -> None:
        """End the worker processes of the stream."""
        if self._stream:
            self._stream.close()

    def _batches(self, split: Split[Images], place: Place) -> Batches:
        return self.data_set.evaluate(split, self.mean, self.settings, place)

    def _place(self) -> Place:
        """The device of the run, and its share of the images; without a trainer the CPU, and all images."""
        if self.trainer is None:
            return Place(torch.device("cpu"))
        trainer = self.trainer
        return Place(trainer.strategy.root_device, trainer.global_rank, trainer.world_size, trainer.num_devices)


def folder_of(root: str) -> Path:
    """The folder of a data set, with `~` written out.

    Raises:
        ValueError: It is that of a user whom there is not.
    """
    try:
        return Path(root).expanduser()
    except RuntimeError:
        raise ValueError(f"root is {shown(root)}: there is no such user; write a folder") from None


def _check_val_size(val_size: int, images: int) -> None:
    if val_size >= images:
        raise ValueError(f"val_size is {val_size}, but there are {images} training images: write a smaller one")


def _taken(images: Images, index: Tensor) -> Images:
    return images[index] if isinstance(images, Tensor) else [images[i] for i in index.tolist()]
