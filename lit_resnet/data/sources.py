"""Whole data sets as tensors, by name: (training images, training labels, test images, test labels).

Images are uint8 [N, C, H, W], labels int64 [N], both in the memory of the CPU.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from lit_resnet.data import folder
from lit_resnet.errors import InputError

Source = Literal["digits", "cifar10", "cifar100", "fashion-mnist", "folder"]
SOURCES = get_args(Source)
Splits = tuple[Tensor, Tensor, Tensor, Tensor]

FASHION_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def describe(source: Source, root: Path, image_size: int | None = None) -> tuple[int, tuple[int, int, int]]:
    """Number of classes and image shape (C, H, W), without reading the images.

    Raises:
        InputError: The folder of images is missing, or not as it should be.
    """
    known = {
        "digits": (10, (1, 8, 8)),
        "cifar10": (10, (3, 32, 32)),
        "cifar100": (100, (3, 32, 32)),
        "fashion-mnist": (10, (1, 28, 28)),
    }
    return folder.describe(root, image_size) if source == "folder" else known[source]


def load(source: Source, root: Path, image_size: int | None = None) -> Splits:
    """Read a data set, after downloading it into `root` where it can be and is not there. `digits` needs no root.

    Raises:
        InputError: A file is missing, damaged or not of this data set; or the download failed.
    """
    if source == "digits":
        splits = _digits()
    elif source == "folder":
        splits = folder.load(root, image_size)
    elif source == "fashion-mnist":
        splits = _fashion_mnist(root)
    else:
        splits = _cifar(source, root)
    num_classes, shape = describe(source, root, image_size)
    for images, labels in (splits[:2], splits[2:]):
        if images.shape[1:] != shape or len(images) != len(labels):
            raise InputError(
                f"{root}: has {len(labels)} labels for images of shape {list(images.shape)}, which is not {source}"
            )
        if labels.min() < 0 or labels.max() >= num_classes:
            wrong = labels.max() if labels.max() >= num_classes else labels.min()
            raise InputError(f"{root}: has the label {wrong}, but those of {source} are 0 to {num_classes - 1}")
    return splits


def _digits() -> Splits:
    """The 1,797 handwritten digits inside scikit-learn: 500 to test on, always the same, and 1,297 to train on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(digits.target).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    test, train = order[:500], order[500:]
    return images[train], labels[train], images[test], labels[test]


def _cifar(source: Source, root: Path) -> Splits:
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    kind = datasets.CIFAR10 if source == "cifar10" else datasets.CIFAR100
    batches = root / kind.base_folder
    if not batches.is_dir():
        _download(kind, root, f"{kind.filename}, or the folder {kind.base_folder} out of it,")
    try:
        train, test = kind(root, train=True), kind(root, train=False)
    except RuntimeError:  # checksums
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        bad = next(batches / name for name, md5 in files if not check_integrity(batches / name, md5))
        raise InputError(f"{bad}: missing or damaged: remove {batches}, and it is made anew") from None
    images = [torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test)]
    return images[0], torch.tensor(train.targets), images[1], torch.tensor(test.targets)


def _fashion_mnist(root: Path) -> Splits:
    """The original idx files, packed or not, lying in root or where torchvision puts them."""
    from torchvision import datasets

    torchvision_place = root / "FashionMNIST" / "raw"
    found = [place for place in (root, torchvision_place) if any(place.glob("*-ubyte*"))]
    if not found:
        _download(datasets.FashionMNIST, root, f"the files {FASHION_FILES[0]}.gz and so on")
    place = found[0] if found else torchvision_place
    return tuple(_read_idx(place, name) for name in FASHION_FILES)


def _read_idx(place: Path, name: str) -> Tensor:
    """One file of MNIST's format: images uint8 [N, 1, H, W], or labels int64 [N].

    The format: two bytes of zero, the type (8 is uint8), the number of dimensions, each of them as a big-endian 32-bit
    number, and the values.
    """
    packed = place / f"{name}.gz"
    path = packed if packed.exists() else place / name
    if not path.exists():
        raise InputError(f"{packed}: no such file, but others of the data set are in {place}: add it")
    try:
        content = gzip.decompress(path.read_bytes()) if path == packed else path.read_bytes()
        kind, dimensions = struct.unpack_from(">HBB", content)[1:]
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
    except (OSError, EOFError, zlib.error, struct.error):
        raise InputError(f"{path}: damaged: replace it, or remove it from {place}") from None
    start = 4 + 4 * dimensions
    if kind != 8 or dimensions not in (1, 3) or len(content) != start + math.prod(shape):
        raise InputError(f"{path}: damaged: replace it, or remove it from {place}")
    values = torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())
    return values.long() if dimensions == 1 else values[:, None]


def _download(kind: type, root: Path, what: str) -> None:
    """Let torchvision download a data set into root; one process at a time, with its own progress bar."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock"):
            kind(root, download=True)
    except (OSError, EOFError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{root}: lacks {kind.__name__}, and its download failed ({reason}): put {what} there"
        ) from None
