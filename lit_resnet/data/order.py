"""The images of a batch and the random numbers of their augmentation: functions of seed and batch number alone."""

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.transfer import sent
from lit_resnet.errors import InputError


def rng_of_batch(seed: int, number: int) -> np.random.Generator:
    """The generator of all random numbers that augment the images of a batch."""
    return _rng(seed, 1, number)


def _rng(seed: int, kind: int, number: int) -> np.random.Generator:
    """The generator of one pass (kind 0) or one batch (kind 1); SeedSequence mixes the three numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, number)))


def part_of_batch(batch_size: int, rank: int, world_size: int) -> slice:
    """The places of a batch that belong to a device, of `world_size` devices that divide the batch evenly."""
    images = batch_size // world_size
    return slice(rank * images, (rank + 1) * images)


def check_shared(batch_size: int, devices: int) -> None:
    """Refuse devices that cannot share a batch evenly.

    Raises:
        InputError: They do not divide it.
    """
    if batch_size % devices:
        raise InputError(
            f"data.batch_size is {batch_size}, which {devices} devices do not divide: write a multiple of that, or "
            "train on another number of them"
        )


class Order:
    """The endless sequence of passes over n images, each in an order of its own.

    Args:
        n: Number of images.
        seed: Seed of the orders.
        device: Where the indices are wanted; None for the CPU.
    """

    def __init__(self, n: int, seed: int, device: torch.device | None = None) -> None:
        self.n, self.seed, self.device = n, seed, device
        self._pass: tuple[int, Tensor] = (-1, torch.empty(0))

    def indices(self, start: int, stop: int) -> Tensor:
        """The numbers of the images at these places of the sequence: int64 [stop - start]."""
        parts = []
        while start < stop:
            number, offset = divmod(start, self.n)
            parts.append(self._permutation(number)[offset : offset + stop - start])
            start += len(parts[-1])
        return torch.cat(parts)

    def _permutation(self, number: int) -> Tensor:
        if self._pass[0] != number:
            order = _rng(self.seed, 0, number).permutation(self.n)
            self._pass = number, sent(order, self.device)
        return self._pass[1]
