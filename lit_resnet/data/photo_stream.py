"""Batches of photographs that are read while a net trains: an endless stream to train on, one pass to evaluate on.

Worker processes read a batch in portions, and the device does the rest to the whole batch. The batches are the same
however many workers there are, and however far ahead they read.
"""

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.augment import draw_colours, subtract_mean
from lit_resnet.data.crops import (
    Draw,
    Filled,
    Places,
    decode,
    fill_room,
    load_files,
    read_crops,
    rooms_for,
    shared_rooms_for,
)
from lit_resnet.data.order import Order, part_of_batch, rng_of_batch
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.reading import AHEAD, Damages, in_order
from lit_resnet.data.stream import Batch
from lit_resnet.data.transfer import sent
from lit_resnet.errors import InputError

SPARE = 8  # further files for each batch, which take the places of damaged ones


@dataclass(frozen=True)
class Reader:
    """Makes batches of photographs on a device: float32 [N, 3, crop, crop], mean subtracted, and int64 labels [N].

    Args:
        photographs: Sizes, and where JPEGs are decoded.
        mean: In levels, [3, 1, 1] or [3, crop, crop].
        device: Where the batches are wanted.
        workers: Worker processes; 0 for none.
        damages: The damaged files, and what happens when one is met.
    """

    photographs: Photographs
    mean: Tensor
    device: torch.device
    workers: int
    damages: Damages

    def batches(self, wanted: Iterator[Places]) -> Generator[Batch, None, None]:
        """A batch for each of the `wanted` places, which are taken from their iterator some way ahead.

        Raises:
            InputError: A file is damaged, and the settings say `fail`; or all spare files are damaged, too.
        """
        mean = self.mean.to(self.device)
        ahead, wanted = itertools.tee(wanted)
        portions = itertools.chain.from_iterable(places.portions() for places in ahead)
        if (places := next(wanted, None)) is None:
            return
        with closing(self._read(portions, len(list(places.portions())))) as read:
            while places is not None:
                following = next(wanted, None)
                images, parts = [], []
                for _ in places.portions():
                    crops, part = next(read)
                    images.append(sent(crops[: len(part.labels)].permute(0, 3, 1, 2), self.device))
                    parts.append(part)
                if following is None:  # the caller may never ask again: do not keep the workers waiting
                    read.close()
                damaged = [one for part in parts for one in part.damaged]
                for one in damaged:
                    self.damages.met(one)
                labels = self._sent([part.labels for part in parts])
                colours = self._sent([part.colours for part in parts])
                if len(labels) < len(places.draws) and None not in places.draws:
                    raise InputError(f"{damaged[-1].path}: damaged, as are all images before it in a row: replace them")
                if len(labels):
                    yield _centred(images, mean - 255 * colours[:, :, None, None]), labels
                places = following

    def _read(self, portions: Iterator[Places], kept: int) -> Generator[tuple[Tensor, Filled], None, None]:
        """The crops of each portion, uint8 [PORTION, crop, crop, 3], and what they are.

        Crops are overwritten when more than `kept` further portions were asked for. The memory is shared with the
        workers and used again and again: a new page of shared memory costs more than what is written there.
        """
        if self.photographs.decode == "device":
            with closing(in_order(load_files, portions, self.workers)) as loads:
                for loaded in loads:
                    room = rooms_for(1, self.photographs, self.device)[0]
                    yield room, read_crops(loaded.places, room, self.photographs, decode(loaded, self.device))
            return
        rooms = (shared_rooms_for if self.workers else rooms_for)(kept + AHEAD * self.workers, self.photographs)
        work = partial(fill_room, rooms=rooms, photographs=self.photographs)
        with closing(in_order(work, zip(itertools.cycle(range(len(rooms))), portions), self.workers)) as read:
            for number, filled in read:
                yield rooms[number], filled

    def _sent(self, parts: list[np.ndarray]) -> Tensor:
        return sent(np.concatenate(parts), self.device)


def _centred(parts: list[Tensor], means: Tensor) -> Tensor:
    """Portions of a batch, uint8, less the means of its images: float32 [N, 3, H, W], channels last in memory."""
    lengths = [len(part) for part in parts]
    shape, device = (sum(lengths), *parts[0].shape[1:]), parts[0].device
    images = torch.empty(shape, device=device, memory_format=torch.channels_last)
    # Written out as rows, as images lie in memory, means are subtracted at several times the speed.
    means = means.expand(-1, -1, -1, shape[-1]).contiguous(memory_format=torch.channels_last)
    for part, place, mean in zip(parts, images.split(lengths), means.split(lengths), strict=True):
        at_once = 1 if device.type == "cpu" else len(part)  # a core has one image in its caches, a GPU likes many
        for some in zip(part.split(at_once), mean.split(at_once), place.split(at_once), strict=True):
            subtract_mean(*some)
    return images


class PhotoStream:
    """Endless batches of random crops of randomly resized photographs, mirrored and altered in colour (Sec. 3.4).

    Batch k depends on the seed and k alone, as in a `BatchStream`, whose passes have the same order.

    Args:
        files: The images to train on.
        labels: int64 [N].
        reader: Makes batches of them.
        flip: Mirror each image with probability 1/2.
        batch_size: Images of a batch of all devices together, which divide them evenly.
        seed: Seed of the order and of the augmentation, 0 or more.
        position: Number of the batch to start with; counts as batches are drawn.
        rank: Number of this device among `world_size`; all draw batch k of the same stream, and each reads its part.
        world_size: Number of devices.
    """

    def __init__(
        self,
        files: list[str],
        labels: Tensor,
        reader: Reader,
        flip: bool,
        batch_size: int,
        seed: int,
        position: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.files, self.labels, self.photographs, self.flip = files, labels.numpy(), reader.photographs, flip
        self.batch_size, self.seed, self.position = batch_size, seed, position
        self.part = part_of_batch(batch_size, rank, world_size)
        self.order = Order(len(self.files), seed)
        self._batches = reader.batches(map(self._places, itertools.count(position)))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self.position += 1
        return batch

    def close(self) -> None:
        """End the worker processes."""
        self._batches.close()

    def _places(self, number: int) -> Places:
        """This device's part of a batch."""
        start = number * self.batch_size
        index = self.order.indices(start + self.part.start, start + self.part.stop + SPARE)
        rng = rng_of_batch(self.seed, number)
        least, most = self.photographs.short_side
        short_sides = rng.integers(least, most, self.batch_size, endpoint=True)
        down, right, side = rng.random((3, self.batch_size))
        flips = (side < 0.5) & self.flip
        colours = draw_colours(self.batch_size, self.photographs.colour, rng)
        draws = map(Draw, *(each[self.part].tolist() for each in (short_sides, down, right, flips)))
        return Places(
            [self.files[i] for i in index.tolist()],
            self.labels[index.numpy()],
            list(draws),
            colours[self.part],
        )


class PhotoBatches:
    """Centre crops of photographs in order, the last batch short.

    Args:
        files: The images to evaluate on.
        labels: int64 [N].
        reader: Makes batches of them.
        batch_size: Images of a batch.
        rank: Number of this device among `world_size`, which share the images so that each counts once.
        world_size: Number of devices.
    """

    def __init__(
        self, files: list[str], labels: Tensor, reader: Reader, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.files, self.labels = files[rank::world_size], labels.numpy()[rank::world_size]
        self.reader, self.batch_size = reader, batch_size

    def __len__(self) -> int:
        return -(-len(self.files) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.reader.batches(map(self._places, range(len(self))))

    def _places(self, number: int) -> Places:
        part = slice(number * self.batch_size, (number + 1) * self.batch_size)
        files = self.files[part]
        return Places(files, self.labels[part], [None] * len(files), np.zeros((len(files), 3), np.float32))
