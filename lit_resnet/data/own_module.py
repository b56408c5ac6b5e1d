"""The task `own-data`: a LightningDataModule of one's own, whose batches a run draws so that it can stop and go on."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from lit_resnet import own_code
from lit_resnet.data.class_names import check_classes
from lit_resnet.data.loader_stream import PASS, SETUP, Epoch, Loader, LoaderBatches, LoaderStream, checked, seeded
from lit_resnet.data.module import MOST_BATCH
from lit_resnet.data.reading import begin
from lit_resnet.data.stream import Batch, Stretches, cut
from lit_resnet.errors import InputError, check_range, shown


class OwnModule(LightningDataModule):
    """Images and labels as a LightningDataModule of one's own gives them: `data.module`, by its dotted path.

    Its loaders yield (images, labels): float images [N, C, H, W], ready for a net, and whole numbers from 0. The net
    trains on those of `train_dataloader`; its test error is that of `test_dataloader`, with the error of
    `val_dataloader` beside it; where there is no `test_dataloader`, the test images are those of `val_dataloader`. The
    module says its classes in an attribute `classes` (names) or `num_classes`. With an attribute `image_shape`
    (C, H, W), too, a plan reads no images.

    A run has iterations, not epochs: when a loader has ended, `train_dataloader` is asked for another. Before each
    epoch and each batch the generators of torch, NumPy and Python are seeded by the run's seed and the number, and put
    back afterwards (torch's on a GPU is not). So batch k is a function of the seed and k where a loader, its sampler
    and its Dataset draw from these, and a run that goes on has the batches that it would have had. To get there it
    reads the epoch again from its beginning. While the module is made, prepared and set up, they are seeded by 0: a
    split that it draws is one of the data, the same in all runs.

    It trains on one device.

    Args:
        module: The class, or a function that makes one of its objects.
        args: What it is made with, by name, besides `batch_size` if it takes that.
        batch_size: Images of a mini-batch.
        stretch: Iterations of a training step.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
        InputError: It cannot be imported or made, or it does not say its classes.
    """

    def __init__(
        self,
        module: str = "",
        args: dict[str, Any] = {},  # noqa: B006 (never changed; shown as the default in --help)
        batch_size: int = 128,
        stretch: int = 1,
    ) -> None:
        super().__init__()
        check_range("batch_size", batch_size, 1, MOST_BATCH)
        if not own_code.is_dotted(module):
            raise ValueError(f"data.module is {shown(module)}: write the dotted path of your own, mypackage.Birds")
        self.path, self.batch_size, self.stretch = module, batch_size, stretch
        try:
            self.own_args = json.dumps(args)
        except (TypeError, ValueError):
            raise ValueError("data.args holds what is no text, number, list or mapping: write one of these") from None
        self.classes, self.image_shape = _known(module, self.own_args, batch_size)
        self.num_classes, self.in_channels = len(self.classes), self.image_shape[0]
        self.name = module.rpartition(".")[2]
        self.damaged_files: list[str] = []
        self.degenerate_boxes: list[str] = []  # classification has no boxes
        self._own: LightningDataModule | None = None
        self._stream: LoaderStream | None = None
        self._epoch = Epoch(0, 0)

    def check(self, config: Namespace) -> None:
        """Refuse several devices.

        Raises:
            InputError: Always then.
        """
        devices, nodes = config.trainer.devices, config.trainer.num_nodes
        if nodes != 1 or str(devices) not in ("1", "auto"):
            raise InputError(f"trainer.devices is {devices}, num_nodes {nodes}: data of your own train on one device")

    def state(self) -> dict[str, Any]:
        """Which epoch it is, with which iteration it began, and who prepares the images."""
        epoch = self._stream.epoch(self._position()) if self._stream else self._epoch
        return {**epoch._asdict(), "classes": list(self.classes), "prepared_by": self.path}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on in that epoch.

        Raises:
            InputError: The classes are others, or in another order, so that the labels are not those of these images.
        """
        check_classes(self.classes, state.get("classes"), f"data.module: {self.path}")
        self._epoch = Epoch(state["number"], state["start"])

    def prepare_data(self) -> None:
        """Let the module download what it needs."""
        with _told(self.path):
            _prepare(self._made())

    def setup(self, stage: str) -> None:
        """Let the module read what its loaders need.

        Raises:
            InputError: Several devices train.
        """
        if self.trainer and self.trainer.world_size > 1:
            raise InputError("data of your own train on one device: write trainer.devices 1")
        self.seed = torch.initial_seed()
        own = self._made()
        own.trainer = self.trainer
        with _told(self.path):
            _set_up(own)

    def teardown(self, stage: str) -> None:
        """End the worker processes."""
        if self._stream:
            self._stream.close()

    def train_dataloader(self) -> Stretches | Iterator[Batch]:
        """Batches on the run's device, from the trainer's step to its last, in stretches."""
        self.teardown("fit")
        self._stream = self._from(self._epoch, self._position())
        return cut(self._stream, self.stretch, self.trainer.max_steps if self.trainer else -1)

    def following(self, position: int) -> LoaderStream:
        """The training batches from number `position` on, without end, also those beyond the last iteration of a run.

        It begins in the present epoch, or the one before, and reads it again up to there.
        """
        return self._from(self._stream.epoch(position) if self._stream else self._epoch, position)

    def _from(self, epoch: Epoch, position: int) -> LoaderStream:
        ready = partial(self._ready, device=self._device())
        return LoaderStream(self._made().train_dataloader, ready, self.batch_size, self.seed, epoch, position)

    def val_dataloader(self) -> list["LoaderBatches"]:
        """The test images, and those of `val_dataloader` where that is not the same."""
        own = self._made()
        loaders = [_test(own), *([own.val_dataloader] if _has(own, "test_dataloader", "val_dataloader") else [])]
        return [self._batches(loader, self._device()) for loader in loaders]

    def test_dataloader(self) -> "LoaderBatches":
        """The test images."""
        return self._batches(_test(self._made()), self._device())

    def test_batches(self, device: torch.device) -> "LoaderBatches":
        """The test images, for measurements on that device."""
        return self._batches(_test(self._made()), device)

    def known_evaluated(self) -> int:
        """0: nobody knows how many images an evaluation takes without reading them."""
        return 0

    def test_count(self) -> int:
        """How many test images there are; reads all of them, as nobody else knows."""
        return sum(len(labels) for _, labels in self.test_batches(torch.device("cpu")))

    def test_digest(self) -> str:
        """A SHA-256 of the test images, as a net sees them, and their labels."""
        digest = hashlib.sha256()
        for images, labels in self.test_batches(torch.device("cpu")):
            for part in (images, labels):
                digest.update(str(tuple(part.shape)).encode())
                digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _made(self) -> LightningDataModule:
        if self._own is None:
            self._own = _make(self.path, self.own_args, self.batch_size)
        return self._own

    def _position(self) -> int:
        return self.trainer.global_step if self.trainer else 0

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def _batches(self, loader: Loader, device: torch.device) -> "LoaderBatches":
        return LoaderBatches(loader, partial(self._ready, device=device))

    def _ready(self, batch: Any, device: torch.device) -> Batch:
        """A batch on the device, after the module's own hooks.

        Raises:
            InputError: It is no batch of images and labels, or not one for this net.
        """
        own = self._made()
        batch = own.on_before_batch_transfer(batch, 0)
        if not isinstance(batch, tuple | list) or len(batch) != 2 or not all(isinstance(one, Tensor) for one in batch):
            raise InputError(f"data.module: {self.path} gives batches that are no (images, labels): collate them so")
        images, labels = batch
        if images.ndim != 4 or images.shape[1] != self.in_channels or not images.is_floating_point():
            raise InputError(
                f"data.module: {self.path} gives images of {list(images.shape)}, {images.dtype}: "
                f"give [N, {self.in_channels}, H, W] of floats"
            )
        if labels.shape != (len(images),) or labels.is_floating_point():
            raise InputError(f"data.module: {self.path} gives labels of {list(labels.shape)}, {labels.dtype}: give [N]")
        if labels.device.type == "cpu" and len(labels) and not 0 <= labels.min() <= labels.max() < self.num_classes:
            raise InputError(
                f"data.module: {self.path} has the label {labels[(labels < 0) | (labels >= self.num_classes)][0]}, and "
                f"{self.num_classes} classes: write whole numbers from 0"
            )
        images, labels = own.on_after_batch_transfer(own.transfer_batch_to_device((images, labels), device, 0), 0)
        return images, labels.long()


def _make(path: str, args: str, batch_size: int) -> LightningDataModule:
    with seeded(0, SETUP, 0):
        own = own_code.made(path, "data.module", json.loads(args), {"batch_size": batch_size})
    if not isinstance(own, LightningDataModule):
        raise InputError(f"data.module: {path} is no LightningDataModule: write the path of one")
    if not _has(own, "train_dataloader") or not (_has(own, "test_dataloader") or _has(own, "val_dataloader")):
        raise InputError(f"data.module: {path} needs train_dataloader, and test_dataloader or val_dataloader")
    return own


@lru_cache(maxsize=8)
def _known(path: str, args: str, batch_size: int) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """Names of the classes, and (C, H, W) of an image; the data are read if the module does not say them before."""
    own = _make(path, args, batch_size)
    with _told(path):
        classes, shape = _classes(own), getattr(own, "image_shape", None)
        if classes is None or shape is None:
            _prepare(own)
            _set_up(own)
            classes = _classes(own)
            shape = _first_image(own).shape if shape is None else shape
        if classes is None:
            raise InputError(
                f"data.module: {path} says neither num_classes nor classes: give it one of these attributes"
            )
        channels, height, width = map(int, shape)
        if min(channels, height, width) < 1:
            raise ValueError(f"image_shape is {shown(shape)}, and not (C, H, W)")
        return classes, (channels, height, width)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn whatever somebody's code raises into one line.

    Raises:
        InputError: That line.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"data.module: {path} cannot read its data: {words}") from error


def _first_image(own: LightningDataModule) -> Tensor:
    with seeded(0, PASS, 0):
        images, *_ = next(begin(checked(_test(own)())))
        return images[0]


def _classes(own: LightningDataModule) -> tuple[str, ...] | None:
    classes = getattr(own, "classes", None)
    if classes is None and (count := getattr(own, "num_classes", None)):
        classes = range(count)
    return classes if classes is None else tuple(map(str, classes))


def _prepare(own: LightningDataModule) -> None:
    with seeded(0, SETUP, 0):
        own.prepare_data()


def _set_up(own: LightningDataModule) -> None:
    """Set up training and, for the test images of the curves, testing; a split that is drawn is the same in both."""
    for stage in ("fit", "test") if _has(own, "test_dataloader") else ("fit",):
        with seeded(0, SETUP, 0):
            own.setup(stage)


def _test(own: LightningDataModule) -> Loader:
    return own.test_dataloader if _has(own, "test_dataloader") else own.val_dataloader


def _has(own: LightningDataModule, *hooks: str) -> bool:
    return all(is_overridden(hook, own, parent=LightningDataModule) for hook in hooks)
