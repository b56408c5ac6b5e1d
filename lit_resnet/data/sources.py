"""The table of data sets, and the functions that read those which fit into memory.

A new data set is a function that returns `Splits`, and an entry in `DATA_SETS`.
"""

import gzip
import math
import struct
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from lit_resnet.data.class_names import CIFAR10, CIFAR100, FASHION
from lit_resnet.data.dataset import DataSet
from lit_resnet.data.in_memory import ImageFolder, InMemory, Splits
from lit_resnet.data.on_disk import OnDisk
from lit_resnet.data.own import OwnImages
from lit_resnet.errors import InputError, did_you_mean, shown
from lit_resnet.own_code import is_dotted

LOCK = ".download.lock"  # of a folder into which a process downloads
FASHION_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def digits(root: Path) -> Splits:
    """Read the 1,797 handwritten digits inside scikit-learn: 500 to test on, always the same, and 1,297 to train on."""
    pixels, numbers = _digits()
    images = torch.from_numpy(pixels * (255 / 16)).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(numbers).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    test, train = order[:500], order[500:]
    return images[train], labels[train], images[test], labels[test]


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels, float64 [1797, 8, 8] from 0 to 16, and numbers; from a text, which takes as long as a short training."""
    from sklearn.datasets import load_digits
    from sklearn.utils import Bunch

    digits = load_digits()
    assert isinstance(digits, Bunch)  # it returns a tuple only if asked to
    return digits.images, digits.target.copy()


def cifar10(root: Path) -> Splits:
    """Read CIFAR-10 by torchvision, which downloads it into `root` where it is not there.

    Raises:
        InputError: A file is missing or damaged, or the download failed.
    """
    from torchvision.datasets import CIFAR10

    return _cifar(CIFAR10, root)


def cifar100(root: Path) -> Splits:
    """Read CIFAR-100, as `cifar10` does."""
    from torchvision.datasets import CIFAR100

    return _cifar(CIFAR100, root)


def _cifar(kind: type, root: Path) -> Splits:
    from torchvision.datasets.utils import check_integrity

    _await_download(root)
    batches = root / kind.base_folder
    if not batches.is_dir():
        _download(kind, root, f"{kind.filename}, or the folder {kind.base_folder} out of it,")
    try:
        train, test = kind(root, train=True), kind(root, train=False)
    except RuntimeError:  # checksums
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        bad = next(batches / name for name, md5 in files if not check_integrity(batches / name, md5))
        raise InputError(f"{bad}: missing or damaged: remove {batches}, and it is downloaded again") from None
    images = [torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test)]
    return images[0], torch.tensor(train.targets), images[1], torch.tensor(test.targets)


def fashion_mnist(root: Path) -> Splits:
    """Read Fashion-MNIST's original idx files, packed or not, in `root` or in the folder where torchvision puts them.

    Raises:
        InputError: A file is missing or damaged, or the download failed.
    """
    from torchvision import datasets

    _await_download(root)
    torchvision_place = root / "FashionMNIST" / "raw"
    found = [place for place in (root, torchvision_place) if any(place.glob("*-ubyte*"))]
    if not found:
        _download(datasets.FashionMNIST, root, f"the files {FASHION_FILES[0]}.gz and so on")
    place = found[0] if found else torchvision_place
    train, train_labels, test, test_labels = (_read_idx(place, name) for name in FASHION_FILES)
    return train, train_labels, test, test_labels


def _read_idx(place: Path, name: str) -> Tensor:
    """Read one file of MNIST's format: images uint8 [N, 1, H, W], or labels int64 [N].

    The format: two bytes of zero, the type (8 is uint8), the number of dimensions, the size of each as a big-endian
    32-bit number, and the values.
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
    """Let torchvision download a data set into `root`, with its own progress bar; one process at a time."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / LOCK):
            kind(root, download=True)
    except (OSError, EOFError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{root}: lacks {kind.__name__}, and its download failed ({reason}): put {what} there"
        ) from None


def _await_download(root: Path) -> None:
    """Wait for another process that downloads into `root`: meanwhile its files are not whole."""
    with suppress(OSError):  # nobody downloads to where nothing can be written
        if (root / LOCK).exists():
            with FileLock(root / LOCK):
                pass


DATA_SETS: dict[str, DataSet[Any]] = {
    "digits": InMemory(10, (1, 8, 8), digits, images=1297),
    "cifar10": InMemory(CIFAR10, (3, 32, 32), cifar10, images=50_000),
    "cifar100": InMemory(CIFAR100, (3, 32, 32), cifar100, images=50_000),
    "fashion-mnist": InMemory(FASHION, (1, 28, 28), fashion_mnist, images=60_000),
    "folder": ImageFolder(),
    "imagenet": OnDisk(),
}


def find(name: str) -> DataSet[Any]:
    """The data set of that name, or one's own of that dotted path.

    Raises:
        ValueError: There is none; the message says which there are, and the nearest one.
    """
    if is_dotted(name):
        return OwnImages(name)
    if name not in DATA_SETS:
        raise ValueError(
            f"data.source is {shown(name)}: write one of {', '.join(DATA_SETS)}, or the dotted path of your own, "
            f"mypackage.birds{did_you_mean(name, DATA_SETS)}"
        )
    return DATA_SETS[name]
