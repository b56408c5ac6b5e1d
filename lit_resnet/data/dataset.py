"""What the rest of the package asks of a data set: that it describes itself, loads, and gives batches."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from lit_resnet.data.photographs import Photographs
from lit_resnet.data.reading import Damages
from lit_resnet.data.stream import Batch, Batches, Stream

Images = Tensor | list[str]  # uint8 [N, C, H, W], or the files of N photographs
ImagesT = TypeVar("ImagesT", bound=Images)  # those of one data set
Split = tuple[ImagesT, Tensor]  # images, and their labels: int64 [N], on the CPU
Portion = list[dict[int | None, Tensor] | None]  # images at each shorter side that is wanted; None for a damaged one


class Description(NamedTuple):
    """What is known of a data set without reading its images.

    Args:
        classes: Their names, in the order of the labels.
        shape: (C, H, W) of the images, or of the crops of photographs that a net is trained on.
        name: What summaries, tables and W&B call the data set.
        images: How many there are to train on; None where that takes reading.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    name: str
    images: int | None = None


@dataclass(frozen=True)
class Settings:
    """What a config says of its data set; see `ImageData`."""

    source: str
    root: Path = Path("data")
    image_size: int | None = None
    batch_size: int = 128
    pad: int = 4
    flip: bool = True
    photographs: Photographs = field(default_factory=Photographs)

    @cached_property
    def damages(self) -> Damages:
        """The damaged photographs that were met so far, and what to do about the next one."""
        return Damages(self.photographs.damaged)

    @property
    def folder_name(self) -> str:
        """The name of a data set that is whatever images lie in its folder: `folder:pets`."""
        return f"folder:{os.path.basename(os.path.realpath(self.root))}"


@dataclass(frozen=True)
class Place:
    """A device that trains or evaluates, and its share of the images.

    Args:
        device: Where batches are wanted.
        rank: Number of this device among `world_size`.
        world_size: Devices that share the images.
        on_machine: Devices of this machine, which share its cores.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1
    on_machine: int = 1


class DataSet(Protocol[ImagesT]):
    """An entry of `data.sources.DATA_SETS`. It keeps nothing itself: each call gets the `Settings` of a run.

    A data set is only given images that it has loaded itself, so the table need not know of which kind they are.
    """

    @property
    def cropped(self) -> bool:
        """Whether nets see crops of its images, at several scales; else they see images of one size, whole."""
        ...

    def describe(self, settings: Settings) -> Description:
        """Classes, shape and name, without reading the images.

        Raises:
            ValueError: A setting is not for this data set; the message says what to write instead.
            InputError: The folder of images is missing, or not as it should be.
        """
        ...

    def load(self, settings: Settings) -> tuple[Split[ImagesT], Split[ImagesT]]:
        """The images to train on and those to test on; downloaded where that is possible and they are missing.

        Raises:
            InputError: A file is missing or damaged, or the download failed.
        """
        ...

    def load_test(self, settings: Settings) -> Split[ImagesT]:
        """The images to test on; see `load`."""
        ...

    def mean(self, images: ImagesT, settings: Settings) -> Tensor:
        """The mean of the images that are trained on, float32, in levels (0 to 255): [C, H, W], or [C, 1, 1].

        Raises:
            InputError: An image is damaged, and `photographs.damaged` is `fail`.
        """
        ...

    def train(
        self, split: Split[ImagesT], mean: Tensor, settings: Settings, place: Place, seed: int, position: int
    ) -> Stream[Batch]:
        """The endless stream of shuffled and augmented batches, from batch number `position` on.

        Batch k must be a function of the seed and k alone, whatever the device: a resumed run goes on with the batch
        that it would have had.
        """
        ...

    def evaluate(self, split: Split[ImagesT], mean: Tensor, settings: Settings, place: Place) -> Batches:
        """Batches of all images in their order, with the mean subtracted: centre crops of photographs."""
        ...

    def digest(self, split: Split[ImagesT]) -> str:
        """A SHA-256 of the images and labels: nets whose digests are equal are judged on the same images."""
        ...

    def portions(
        self, images: ImagesT, settings: Settings, short_sides: Collection[int | None], workers: int | None, size: int
    ) -> Iterator[Portion]:
        """The images as uint8 [C, h, w], in their order, in portions of `size`, to be judged in many views.

        Args:
            images: Those of a split.
            settings: Those of the run.
            short_sides: Sizes of the shorter side that each image is wanted at; None for an image as it is.
            workers: Processes that read photographs; None for as many as the settings say.
            size: Images of a portion; the last one is short.

        Raises:
            InputError: An image is damaged, and `photographs.damaged` is `fail`.
        """
        ...
