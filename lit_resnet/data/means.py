"""The mean of the photographs that a net is trained on, computed once and kept in the cache."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.array_cache import cached, digest
from lit_resnet.data.photographs import Damaged, Photographs, centre, read_photograph, resize_short_side
from lit_resnet.data.reading import Damages, in_order
from lit_resnet.errors import InputError
from lit_resnet.listing import passing_bar

MOST = 10_000  # images for a mean of three numbers: images differ by 35 levels, so the mean is off by a third of one
PORTION = 64  # images that a worker adds up at a time


def mean_of_photographs(
    root: Path, files: list[str], photographs: Photographs, workers: int, damages: Damages
) -> Tensor:
    """The mean of the centre crops of training images, in levels: float32 [3, 1, 1], or per pixel [3, crop, crop].

    The mean per channel is that of at most 10,000 images, evenly spread over the files; the mean per pixel is that of
    all. The cache has one file for each root, kind of mean and size. The mean is computed again when files were added
    or removed.

    Raises:
        InputError: A file is damaged, and the settings say `fail`; or the cache cannot be written.
    """
    by_channel = photographs.mean == "channel"
    if by_channel and len(files) > MOST:
        files = [files[i] for i in np.linspace(0, len(files) - 1, MOST).round().astype(int)]

    def make() -> np.ndarray:
        mean = _mean_image(files, photographs, workers, damages)
        return mean.mean(dim=(1, 2), keepdim=True).numpy() if by_channel else mean.numpy()

    key = [str(root.absolute()), photographs.mean, photographs.crop, photographs.test_short_side]
    return torch.from_numpy(cached(key, digest(files), make)).float()


def _mean_image(files: Sequence[str], photographs: Photographs, workers: int, damages: Damages) -> Tensor:
    """The mean of the centre crops, float64 [3, crop, crop]; of whole numbers, so that their order does not matter."""
    total = torch.zeros(3, photographs.crop, photographs.crop, dtype=torch.int64)
    count = 0
    parts = (files[start : start + PORTION] for start in range(0, len(files), PORTION))
    with (
        closing(in_order(partial(_sum, photographs=photographs), parts, workers)) as sums,
        passing_bar() as progress,
    ):
        task = progress.add_task("mean of the training images", total=len(files))
        for part, number, damaged in sums:
            for one in damaged:
                damages.met(one)
            total += torch.from_numpy(part)
            count += number
            progress.advance(task, number + len(damaged))
    if not count:
        raise InputError(f"{files[0]}: damaged, like all other training images: replace them")
    return total.double() / count


def _sum(files: Sequence[str], photographs: Photographs) -> tuple[np.ndarray, int, list[Damaged]]:
    """The sum of the centre crops, int64 [3, crop, crop]; how many they are; and the damaged files.

    An array, as a tensor of a worker takes room in /dev/shm, and waits for ever where there is none.
    """
    total = torch.zeros(3, photographs.crop, photographs.crop, dtype=torch.int64)
    damaged = []
    for file in files:
        try:
            image = read_photograph(file)
        except Damaged as error:
            damaged.append(error)
            continue
        total += centre(resize_short_side(image, photographs.test_short_side), photographs.crop)
    return total.numpy(), len(files) - len(damaged), damaged
