"""Batches from a data set held as one tensor: an endless shuffled stream to train on, and one pass to evaluate on."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from torch import Tensor

from lit_resnet.data.augment import CropFlip, subtract_mean
from lit_resnet.data.order import Order, part_of_batch, rng_of_batch

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Batch = tuple[Tensor, Tensor]  # float32 images [N, C, H, W], mean subtracted, and int64 labels [N]


class BatchStream:
    """Endless shuffled and augmented batches: float32 images [batch_size, C, H, W] and int64 labels [batch_size].

    Batch k depends on the seed and k alone, whatever the device. So a new stream that starts at a position goes on
    exactly as the old one would have, and a checkpoint need not hold more than the position. Passes over the images
    follow each other without a gap: a batch may begin in one and end in the next, and each pass has every image once.

    The stream has no `state_dict`: Lightning would save and restore it, but Lightning draws one batch ahead of the step
    that it is at.

    Args:
        images: The whole data set, uint8 [N, C, H, W], on the device of the batches.
        labels: int64 [N], on the same device.
        augment: Crops and mirrors the images of a batch.
        batch_size: Images of a batch of all devices together, which divide them evenly.
        seed: Seed of the order and of the augmentation, 0 or more.
        position: Number of the batch to start with; counts as batches are drawn.
        rank: Number of this device among `world_size`; all draw batch k of the same stream, and each takes its part.
        world_size: Number of devices.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        augment: CropFlip,
        batch_size: int,
        seed: int,
        position: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images, self.labels, self.augment = images, labels, augment
        self.batch_size, self.seed, self.position = batch_size, seed, position
        self.part = part_of_batch(batch_size, rank, world_size)
        self.order = Order(len(images), seed, images.device)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        start = self.position * self.batch_size
        index = self.order.indices(start + self.part.start, start + self.part.stop)
        views = self.augment.draw(self.batch_size, rng_of_batch(self.seed, self.position))[self.part]
        self.position += 1
        return self.augment(self.images.index_select(0, index), views), self.labels.index_select(0, index)

    def close(self) -> None:
        """Do nothing: this stream has no worker processes."""


class Stream(Protocol[T_co]):
    """An endless stream of batches."""

    position: int  # number of the batch that is drawn next

    def __iter__(self) -> Iterator[T_co]: ...

    def __next__(self) -> T_co: ...

    def close(self) -> None:
        """End the worker processes, if it has any."""
        ...


class Stretch:
    """The batches of the iterations from `start` to `stop`, drawn from the stream when they are asked for."""

    def __init__(self, stream: Stream[Any], start: int, stop: int) -> None:
        self.stream, self.start, self.stop = stream, start, stop

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.stream, self.stop - self.start)


class Stretches:
    """An endless stream of batches, cut into stretches that end at the multiples of `size` iterations.

    The first stretch begins where the stream is: between two multiples, if a run was stopped there.
    """

    def __init__(self, stream: Stream[Any], size: int) -> None:
        self.stream, self.size = stream, size

    def __iter__(self) -> Iterator[Stretch]:
        start = self.stream.position
        while True:
            stop = start - start % self.size + self.size
            yield Stretch(self.stream, start, stop)
            start = stop


def cut(stream: Stream[T], size: int, last: int) -> Stretches | Iterator[T]:
    """What a run trains on: stretches of `size` iterations, or batches where that is one.

    Args:
        stream: All batches, from the next one on.
        size: Iterations of a training step.
        last: The last iteration of the run; -1 for none. Stretches need not know it.
    """
    if size > 1:
        return Stretches(stream, size)
    return itertools.islice(stream, last - stream.position if last >= 0 else None)


class Epochs:
    """Batches in epochs, each with as many as there are in one pass over the training images.

    Batch k is the same as in a run that knows no epochs. Who begins in the middle of an epoch gets the rest of it.

    Args:
        begin: Gives the stream of batches from a position on.
        length: Batches of an epoch.
        position: Says with which batch to go on, when an epoch begins.
    """

    def __init__(self, begin: Callable[[int], Stream[Batch]], length: int, position: Callable[[], int]) -> None:
        self.begin, self.length, self.position = begin, length, position

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        position = self.position()
        return itertools.islice(self.begin(position), self.length - position % self.length)


class Batches(Protocol):
    """One pass over the images of a split, in their order."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class EvalBatches:
    """Batches in order, the last one short, with the mean subtracted and nothing else.

    Args:
        images: uint8 [N, C, H, W], on the device of the batches.
        labels: int64 [N], on the same device.
        mean: Per-pixel mean [C, H, W] in levels, on the same device.
        batch_size: Images of a batch.
        rank: Number of this device among `world_size`, which share the images so that each counts once.
        world_size: Number of devices.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, mean: Tensor, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.images, self.labels = images[rank::world_size], labels[rank::world_size]
        self.mean, self.batch_size = mean, batch_size

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        batches = zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)
        return ((subtract_mean(images, self.mean), labels) for images, labels in batches)
