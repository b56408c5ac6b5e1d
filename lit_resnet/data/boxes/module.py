"""The LightningDataModule of detection: images with boxes, of PASCAL VOC's or COCO's kind."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule

from lit_resnet.data.boxes import sources
from lit_resnet.data.boxes.checks import digest
from lit_resnet.data.boxes.stream import BoxBatch, BoxStream, SizedImages, Sizes
from lit_resnet.data.class_names import check_classes
from lit_resnet.data.module import MOST_BATCH, folder_of
from lit_resnet.data.order import check_shared
from lit_resnet.data.photographs import MOST_WORKERS
from lit_resnet.data.reading import default_workers
from lit_resnet.data.stream import Stretches, cut
from lit_resnet.data_sets import MOST_PIXELS
from lit_resnet.errors import InputError, check_range

SHAPE = 4 / 3  # of the image for which a detector's arithmetic is counted: width over height


class BoxData(LightningDataModule):
    """Images with boxes around their objects, to train a detector on and to test it on.

    The order of the training images and their mirroring come from torch's initial seed and the number of the batch, so
    that a run which goes on has the batches that it would have had. Objects that are `difficult` (VOC) or crowds (COCO)
    are not trained on, and neither right nor wrong to find.

    Args:
        source: The form of the annotations: `voc`, `coco`, or another entry of `lit_resnet.data.boxes.sources.SOURCES`.
        root: Folder of the data set: a VOCdevkit, or one folder of its form; or COCO's, with `annotations/` in it.
        train: Sets to train on: [2007/trainval, 2012/trainval] (the paper's 07+12), [train2014]. In a folder without
            years [trainval], say.
        test: Sets to test on: [2007/test], [val2014].
        short_side: The shorter side of an image after resizing.
        long_side: The most that its longer side may have then: a longer image is made smaller.
        flip: Mirror each training image with probability 1/2.
        batch_size: Images of a mini-batch, of all devices together. Those of a device are padded to one size.
        workers: Processes that read the images, for each device; none for as many as the machine has cores to spare.
        stretch: Iterations of a training step.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
        InputError: A file is missing, damaged, or not as it should be.
    """

    in_channels = 3

    def __init__(
        self,
        source: str = "voc",
        root: str = "VOCdevkit",
        train: tuple[str, ...] = ("2007/trainval", "2012/trainval"),
        test: tuple[str, ...] = ("2007/test",),
        short_side: int = 600,
        long_side: int = 1000,
        flip: bool = True,
        batch_size: int = 1,
        workers: int | None = None,
        stretch: int = 1,
    ) -> None:
        super().__init__()
        for name, value, most in (
            ("short_side", short_side, MOST_PIXELS),
            ("long_side", long_side, MOST_PIXELS),
            ("batch_size", batch_size, MOST_BATCH),
        ):
            check_range(name, value, 1, most)
        if workers is not None:
            check_range("workers", workers, 0, MOST_WORKERS)
        if long_side < short_side:
            raise ValueError(f"long_side is {long_side}: write short_side ({short_side}) or more")
        folder = folder_of(root)
        self.source, self.sizes = sources.find(source), Sizes(short_side, long_side)
        self.flip, self.batch_size, self.workers, self.stretch = flip, batch_size, workers, stretch
        self.train_set, self.test_set = sources.read(self.source, folder, train, test)
        self.classes = self.train_set.classes
        self.num_classes = len(self.classes)
        self.name = self.source.name(train, test, folder)
        self.image_shape = (3, *self.sizes.of(600, round(600 * SHAPE)))
        self.damaged_files: list[str] = []
        self._stream: BoxStream | None = None

    @property
    def degenerate_boxes(self) -> list[str]:
        """Boxes without width or height, which were left out."""
        return [*self.train_set.degenerate, *self.test_set.degenerate]

    def check(self, config: Namespace) -> None:
        """Refuse a protocol that is not for these data.

        Raises:
            InputError: With what to write instead.
        """
        for protocol in config.get("evaluate") or []:
            self.check_protocol(protocol, "evaluate")

    def check_protocol(self, protocol: str, where: str) -> None:
        """Refuse a protocol that is not for these data, or any where the boxes of the test images are not known.

        Raises:
            InputError: With what to write instead.
        """
        if protocol not in self.source.protocols:
            raise InputError(
                f"{where} is {protocol}, which is not for annotations of this kind: write one of "
                f"{', '.join(self.source.protocols)}"
            )
        if not self.test_set.truth:
            raise InputError(
                f"{where} is {protocol}: the boxes of the test images are not here; leave it out, and write what was "
                "found for the server: lit-resnet evaluate RUN --submission DIR"
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: what is needed to use the detector without its data set."""
        return {"classes": list(self.classes), "short_side": self.sizes.short, "long_side": self.sizes.long}

    def restore(self, state: dict[str, Any]) -> None:
        """Take nothing over, as the files say it all; but see that the classes are those that were trained.

        Raises:
            InputError: They are others, or in another order, so that the labels of the weights are not theirs.
        """
        check_classes(self.classes, state.get("classes"), "data.root")

    def setup(self, stage: str) -> None:
        """Take the seed of the batches."""
        self.seed = torch.initial_seed()

    def teardown(self, stage: str) -> None:
        """End the worker processes."""
        if self._stream:
            self._stream.close()

    def train_dataloader(self) -> Stretches | Iterator[BoxBatch]:
        """Batches on the run's device, from the trainer's step to its last, in stretches.

        Raises:
            InputError: The devices do not divide the batch.
        """
        trainer = self.trainer
        assert trainer is not None  # a run's
        check_shared(self.batch_size, trainer.world_size)
        self.teardown("fit")
        self._stream = self.stream(trainer.global_step)
        return cut(self._stream, self.stretch, trainer.max_steps)

    def stream(self, position: int) -> BoxStream:
        """Training batches from that one on, this device's part."""
        trainer = self.trainer
        assert trainer is not None  # a run's
        return BoxStream(
            self.train_set.images,
            self.sizes,
            self.flip,
            self.batch_size,
            self.seed,
            position,
            trainer.strategy.root_device,
            self._workers(),
            trainer.global_rank,
            trainer.world_size,
        )

    def val_dataloader(self) -> SizedImages:
        """The test images, this device's share; what is found in them is looked at, and nothing chosen by it."""
        trainer = self.trainer
        assert trainer is not None  # a run's
        images = self.test_set.images if self.test_set.truth else ()
        device, workers = trainer.strategy.root_device, self._workers()
        return SizedImages(images, [self.sizes], device, workers, trainer.global_rank, trainer.world_size)

    def test_dataloader(self) -> SizedImages:
        """The test images, this device's share."""
        return self.val_dataloader()

    def test_images(self, device: torch.device, short_sides: tuple[int, ...] = ()) -> SizedImages:
        """All test images, for one device: at the sizes of the training, then with these shorter sides."""
        sizes = [self.sizes, *(Sizes(side, round(side * self.sizes.long / self.sizes.short)) for side in short_sides)]
        return SizedImages(self.test_set.images, sizes, device, self._workers())

    def known_evaluated(self) -> int:
        """How many test images an evaluation takes: none where their boxes are not known."""
        return len(self.test_set.images) if self.test_set.truth else 0

    def test_digest(self) -> str:
        """A SHA-256 of the test images and their boxes, as they were when it was first asked for."""
        return self._test_digest

    @cached_property
    def _test_digest(self) -> str:
        return digest(self.test_set)  # looks at every file

    def _workers(self) -> int:
        devices = self.trainer.num_devices if self.trainer else 1
        return default_workers(devices) if self.workers is None else self.workers
