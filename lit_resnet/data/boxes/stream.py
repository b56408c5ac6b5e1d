"""Batches of images with boxes, read while a detector trains: an endless stream to train on, one pass to test on.

Worker processes read and resize the images. The batches are the same however many workers there are.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.boxes import Annotated
from lit_resnet.data.order import Order, part_of_batch, rng_of_batch
from lit_resnet.data.photographs import Damaged, read_photograph, resize
from lit_resnet.data.reading import in_order
from lit_resnet.data.transfer import sent


class BoxBatch(NamedTuple):
    """Images to train on, of any sizes.

    Args:
        images: uint8 [3, h, w] each.
        boxes: float32 [n, 4] of each image, in its own pixels; n may be 0.
        labels: int64 [n] of each image, from 0.
        draws: A seed for each image, from which its regions are sampled.
    """

    images: list[Tensor]
    boxes: list[Tensor]
    labels: list[Tensor]
    draws: list[int]


class SizedImage(NamedTuple):
    """An image to test on.

    Args:
        number: Its number among those of the test set.
        sizes: The image at each shorter side that is wanted: uint8 [3, h, w].
    """

    number: int
    sizes: list[Tensor]


@dataclass(frozen=True)
class Sizes:
    """How images are resized: the shorter side to `short`, but the longer one to `long` at most."""

    short: int
    long: int

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image after resizing."""
        scale = min(self.short / min(height, width), self.long / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


class _Wanted(NamedTuple):
    """What a worker is asked for: an image at some sizes, and whether mirrored."""

    file: str
    height: int
    width: int
    sizes: tuple[Sizes, ...]
    flip: bool = False


def read(wanted: _Wanted) -> list[Tensor] | Damaged:
    """The work of a worker: the image at each size, or why it cannot be had."""
    try:
        image = read_photograph(wanted.file)
        height, width = image.shape[1:]
        if (height, width) != (wanted.height, wanted.width):
            raise Damaged(
                wanted.file,
                f"is {width}x{height}, and its annotation says {wanted.width}x{wanted.height}: mend one of them",
            )
        found = [resize(image, one.of(height, width)) for one in wanted.sizes]
        return [one.flip(-1) if wanted.flip else one for one in found]
    except Damaged as error:
        return error


class BoxStream:
    """Endless batches in a shuffled order, images mirrored with probability 1/2.

    Batch k depends on the seed and k alone, in the order of a `data.stream.BatchStream`.

    Args:
        images: Those to train on.
        sizes: How they are resized.
        flip: Whether they may be mirrored.
        batch_size: Images of a batch of all devices together, which divide them evenly.
        seed: Seed of the order, the mirroring and the sampling of regions; 0 or more.
        position: Number of the batch to start with; counts as batches are drawn.
        device: Where batches are wanted.
        workers: Worker processes.
        rank: Number of this device among `world_size`; each reads its part of a batch.
        world_size: Number of devices.
    """

    def __init__(
        self,
        images: Sequence[Annotated],
        sizes: Sizes,
        flip: bool,
        batch_size: int,
        seed: int,
        position: int,
        device: torch.device,
        workers: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images, self.sizes, self.flip = images, sizes, flip
        self.batch_size, self.seed, self.position, self.device = batch_size, seed, position, device
        self.part = part_of_batch(batch_size, rank, world_size)
        self.order = Order(len(images), seed)
        ahead = itertools.chain.from_iterable(map(self._wanted, itertools.count(position)))
        self._read = in_order(read, ahead, workers, pin_memory=device.type == "cuda")

    def __iter__(self) -> Iterator[BoxBatch]:
        return self

    def __next__(self) -> BoxBatch:
        batch = BoxBatch([], [], [], [])
        for annotated, flip, draw in self._drawn(self.position):
            found = next(self._read)
            if isinstance(found, Damaged):
                raise found
            (image,) = found
            kept = ~annotated.ignored
            batch.images.append(sent(image, self.device))
            batch.boxes.append(sent(resized_boxes(annotated, image, flip)[kept], self.device))
            batch.labels.append(sent(annotated.labels[kept], self.device))
            batch.draws.append(draw)
        self.position += 1
        return batch

    def close(self) -> None:
        """End the worker processes."""
        self._read.close()

    def _drawn(self, number: int) -> list[tuple[Annotated, bool, int]]:
        """This device's part of a batch: each image, whether it is mirrored, and the seed of its regions."""
        start = number * self.batch_size
        index = self.order.indices(start + self.part.start, start + self.part.stop).tolist()
        rng = rng_of_batch(self.seed, number)
        flips = ((rng.random(self.batch_size) < 0.5) & self.flip)[self.part].tolist()
        draws = rng.integers(2**62, size=self.batch_size)[self.part].tolist()
        return [(self.images[i], flip, draw) for i, flip, draw in zip(index, flips, draws, strict=True)]

    def _wanted(self, number: int) -> Iterator[_Wanted]:
        for annotated, flip, _ in self._drawn(number):
            yield _Wanted(annotated.file, annotated.height, annotated.width, (self.sizes,), flip)


class SizedImages:
    """One pass over test images, one at a time, in their order; of several devices each takes its share.

    Args:
        images: All of them.
        sizes: The sizes that each is wanted at.
        device: Where they are wanted.
        workers: Worker processes.
        rank: Number of this device among `world_size`.
        world_size: Devices that share the images so that each counts once.
    """

    def __init__(
        self,
        images: Sequence[Annotated],
        sizes: Sequence[Sizes],
        device: torch.device,
        workers: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images, self.sizes, self.device, self.workers = images, tuple(sizes), device, workers
        self.numbers = range(rank, len(images), world_size)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[SizedImage]:
        chosen = (self.images[number] for number in self.numbers)
        wanted = (_Wanted(one.file, one.height, one.width, self.sizes) for one in chosen)
        with closing(in_order(read, wanted, self.workers, self.device.type == "cuda")) as found:
            for number, sizes in zip(self.numbers, found, strict=True):
                if isinstance(sizes, Damaged):
                    raise sizes
                yield SizedImage(number, [sent(image, self.device) for image in sizes])


def resized_boxes(annotated: Annotated, image: Tensor, flip: bool) -> Tensor:
    """The boxes [n, 4] of an image in the pixels of its resized copy [3, h, w]: float32."""
    height, width = image.shape[1:]
    boxes = annotated.boxes * annotated.scale(height, width)
    if flip:
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    return torch.from_numpy(boxes.astype(np.float32))
