"""Batches from a data set held as one tensor: an endless shuffled stream to train on, and one pass to evaluate on."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.augment import CropFlip, subtract_mean


def _rng(seed: int, kind: int, number: int) -> np.random.Generator:
    """The generator of one pass (kind 0) or one batch (kind 1); SeedSequence mixes the three numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, number)))


class BatchStream:
    """Endless shuffled and augmented batches: float32 images [batch_size, C, H, W] and int64 labels [batch_size].

    Batch k depends on the seed and k alone, whatever the device. So a stream made at a position goes on exactly as the
    one that was there before, and the position is all there is to save. Passes over the images follow each other
    without a gap: a batch may begin in one and end in the next, and each pass has every image once.

    Has no `state_dict`: Lightning would save and restore it, and it draws one batch ahead of the step it is at.

    Args:
        images: The whole data set, uint8 [N, C, H, W], on the device of the batches.
        labels: int64 [N], there too.
        augment: What makes images to train on.
        batch_size: Images of a batch on this device.
        seed: Seed of the order and of the augmentation, 0 or more.
        position: Number of the batch to start with; counts as batches are drawn.
        rank: Number of this device among `world_size`; all of them draw batch k of one stream and take their parts.
        world_size: Number of devices. One batch of 128 is two of 64.
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
        self.rank, self.world_size = rank, world_size
        self._pass: tuple[int, Tensor] = (-1, torch.empty(0))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        whole = self.batch_size * self.world_size
        start = self.batch_size * self.rank
        index = self._order(self.position * whole + start, self.batch_size)
        views = self.augment.draw(whole, _rng(self.seed, 1, self.position))[start : start + self.batch_size]
        self.position += 1
        return self.augment(self.images.index_select(0, index), views), self.labels.index_select(0, index)

    def _order(self, start: int, n: int) -> Tensor:
        """Indices of the n images from `start` on, in the sequence of all passes."""
        parts = []
        while n > 0:
            number, offset = divmod(start, len(self.images))
            parts.append(self._permutation(number)[offset : offset + n])
            start, n = start + len(parts[-1]), n - len(parts[-1])
        return torch.cat(parts)

    def _permutation(self, number: int) -> Tensor:
        if self._pass[0] != number:
            order = _rng(self.seed, 0, number).permutation(len(self.images))
            self._pass = number, torch.from_numpy(order).to(self.images.device)
        return self._pass[1]


class Block:
    """The batches of the iterations from `start` to `stop`, drawn from the stream when they are asked for."""

    def __init__(self, stream: BatchStream, start: int, stop: int) -> None:
        self.stream, self.start, self.stop = stream, start, stop

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return itertools.islice(self.stream, self.stop - self.start)


class Blocks:
    """An endless stream of batches in blocks, each up to the next multiple of `size` iterations.

    The first one begins where the stream is: in the middle of a block, if a run was stopped there.
    """

    def __init__(self, stream: BatchStream, size: int) -> None:
        self.stream, self.size = stream, size

    def __iter__(self) -> Iterator[Block]:
        start = self.stream.position
        while True:
            stop = start - start % self.size + self.size
            yield Block(self.stream, start, stop)
            start = stop


class EvalBatches:
    """Batches in order, the last one short, with the mean subtracted and nothing else.

    Args:
        images: uint8 [N, C, H, W], on the device of the batches.
        labels: int64 [N], there too.
        mean: Per-pixel mean [C, H, W] in levels, there too.
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

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        batches = zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)
        return ((subtract_mean(images, self.mean), labels) for images, labels in batches)
