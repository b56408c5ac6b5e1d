"""Batches of somebody's own loaders: an endless stream to train on, and passes to evaluate on, that can be repeated.

A loader draws from torch's, NumPy's and Python's global generators. They are seeded for each epoch and each batch, so
that batch k is a function of the seed and k.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from lit_resnet.data.reading import begin
from lit_resnet.data.stream import Batch
from lit_resnet.errors import InputError

EPOCH, BATCH, PASS, SETUP = 3, 4, 5, 6  # what random numbers are for, beside those of `data.order`
Loader = Callable[[], Iterable[Any]]


class Epoch(NamedTuple):
    """An epoch of a run: its number, and the iterations before it."""

    number: int
    start: int


class LoaderStream:
    """Endless batches of a loader, which is made again for each epoch.

    Args:
        loader: Makes it.
        ready: Checks a batch and brings it to the device.
        batch_size: Images of a batch; the last one of an epoch may have fewer.
        seed: The run's.
        epoch: The one to begin in.
        position: Number of the batch to begin with; those before it in the epoch are read and left out.
    """

    def __init__(
        self,
        loader: Loader,
        ready: Callable[[Any], Batch],
        batch_size: int,
        seed: int,
        epoch: Epoch,
        position: int,
    ) -> None:
        self.loader, self.ready, self.batch_size, self.seed, self.position = loader, ready, batch_size, seed, position
        self._epochs = [epoch]  # those that a step of a run which is about to draw may be in: the last two
        self._loaded: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._loaded is None:
            self._begin()
            for position in range(self._epochs[-1].start, self.position):
                self._next(position)
        batch = self._next(self.position)
        self.position += 1
        return batch

    def epoch(self, position: int) -> Epoch:
        """The epoch in which batch `position` is, or the one that ends before it."""
        return next(epoch for epoch in reversed(self._epochs) if epoch.start <= position)

    def close(self) -> None:
        """End the worker processes."""
        self._loaded = None

    def _begin(self) -> None:
        with seeded(self.seed, EPOCH, self._epochs[-1].number):
            loader = checked(self.loader())
            if getattr(loader, "persistent_workers", False) and self.loader() is loader:
                raise InputError(
                    "data.module: its train_dataloader is always the same one, with persistent workers, so that an "
                    "epoch depends on those before it: leave out persistent_workers, or make a DataLoader at each call"
                )
            if getattr(loader, "generator", None) is not None:
                raise InputError(
                    "data.module: its train_dataloader has a generator of its own, which a run that goes on would not "
                    "find where it was: leave out generator; torch's is seeded for each epoch"
                )
            self._loaded = begin(loader)

    def _next(self, position: int) -> Batch:
        """Batch `position`, of this epoch or the next.

        Raises:
            InputError: There is none, or the first one of an epoch has another size.
        """
        assert self._loaded is not None  # `__next__` begins
        with seeded(self.seed, BATCH, position):
            batch = next(self._loaded, None)
            if batch is None:
                if position == self._epochs[-1].start:
                    raise InputError("data.module: its train_dataloader gives no batches")
                self._epochs = [self._epochs[-1], Epoch(self._epochs[-1].number + 1, position)]
                self._begin()
                return self._next(position)
            images, labels = self.ready(batch)
        if position == self._epochs[-1].start and len(images) != self.batch_size:
            raise InputError(
                f"data.batch_size is {self.batch_size}, and data.module gives {len(images)} images at a time: write "
                f"{len(images)}"
            )
        return images, labels


class LoaderBatches:
    """One pass over a loader, whose random numbers are the same at each pass."""

    def __init__(self, loader: Loader, ready: Callable[[Any], Batch]) -> None:
        self.loader, self.ready = loader, ready

    def __iter__(self) -> Iterator[Batch]:
        with seeded(0, PASS, 0):
            loaded = begin(checked(self.loader()))
        for number in itertools.count():
            with seeded(0, PASS, number):
                batch = next(loaded, None)
                if batch is None and number == 0:
                    raise InputError("data.module: a loader of test or validation images gives no batches")
                if batch is None:
                    return
                batch = self.ready(batch)
            yield batch


@contextmanager
def seeded(seed: int, *key: int) -> Iterator[None]:
    """Seed the generators that a loader may draw from, and put them back afterwards: a net may draw from them, too."""
    drawn = int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(drawn)
        np.random.seed(drawn)
        random.seed(drawn)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def checked(loader: Any) -> Iterable[Any]:
    """A loader.

    Raises:
        InputError: It is none.
    """
    if not isinstance(loader, Iterable):
        raise InputError(f"data.module: it gives {type(loader).__name__} for a DataLoader: return one")
    return loader
