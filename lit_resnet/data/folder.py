"""Any folder of images: `root/train/<class>/*` and `root/test/<class>/*` (or `val`), decoded once into a cache.

Files that end in .jpg, .jpeg, .png or .webp are images, in capitals too; others, and names that begin with a dot, are
ignored. Greyscale, palette and CMYK images become RGB; an alpha channel is dropped.
"""

import hashlib
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from lit_resnet.errors import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
CHUNK = 64  # images that a thread decodes in one go


def describe(root: Path, image_size: int | None) -> tuple[int, tuple[int, int, int]]:
    """Number of classes and image shape (C, H, W), from the names of the folders and the header of one image.

    Raises:
        InputError: A folder is missing or empty, or that image cannot be read.
    """
    train, _ = _splits(root)
    classes = _classes(train)
    path = _images(train / classes[0])[0]
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError:
        raise _unreadable(path) from None
    return len(classes), (3, image_size or height, image_size or width)


def load(root: Path, image_size: int | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images, training labels, test images, test labels: uint8 [N, 3, H, W] and int64 [N]; from the cache.

    The cache is one file for each root and size, below `$XDG_CACHE_HOME` or `~/.cache`. It is made anew when a file of
    the folder came, went or changed (size or time), and when it is damaged. Of several processes one makes it.

    Raises:
        InputError: The folder is not as it should be, an image is damaged, or the cache cannot be written.
    """
    files, labels, n_train = _listing(root)
    contents = _digest([(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files])
    name = f"{_digest([str(root.absolute()), image_size])}.npz"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit_resnet" / name
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(cache.with_suffix(".lock")):
            images = _read_cache(cache, contents)
            if images is None:
                images = _decode(files, image_size)
                _write_cache(cache, contents, images)
    except OSError as error:
        raise InputError(f"{cache}: {error.strerror}: set XDG_CACHE_HOME to a folder with room") from None
    return images[:n_train], labels[:n_train], images[n_train:], labels[n_train:]


def read_image(path: Path, image_size: int | None) -> Tensor:
    """One image, uint8 [3, H, W]; with `image_size` the centre, after resizing the shorter side to that (antialiased).

    Raises:
        InputError: It is no image, a damaged one, or one of 16 bits or several frames.
    """
    from torchvision.io import ImageReadMode, decode_image  # seconds, and not needed where the cache is good

    try:
        image = decode_image(str(path), ImageReadMode.RGB)
    except RuntimeError:
        raise _unreadable(path) from None
    if image.dtype != torch.uint8 or image.ndim != 3:
        raise InputError(f"{path}: has 16 bits a channel or several frames: convert it to a still image of 8 bits")
    if image_size is None:
        return image
    height, width = image.shape[1:]
    short = min(height, width)
    size = (height * image_size // short, width * image_size // short)
    image = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    top, left = (size[0] - image_size) // 2, (size[1] - image_size) // 2
    return image[:, top : top + image_size, left : left + image_size]


def _unreadable(path: Path) -> InputError:
    return InputError(f"{path}: not an image, or a damaged one: replace or remove it")


def _splits(root: Path) -> tuple[Path, Path]:
    """The folders of the training and of the test images; where there are both, test/ is taken and val/ left alone."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder: give as root one that has train/<class>/ and test/<class>/ in it")
    train = root / "train"
    if not train.is_dir():
        raise InputError(f"{train}: no such folder: put the training images in {train}/<class>/")
    for test in (root / "test", root / "val"):
        if test.is_dir():
            return train, test
    raise InputError(f"{root}: has neither test/ nor val/: put the test images in {root}/test/<class>/")


def _classes(split: Path) -> list[str]:
    names = sorted(path.name for path in split.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise InputError(f"{split}: has no class folders: put the images in {split}/<class>/")
    return names


def _images(folder: Path) -> list[Path]:
    names = [name for name in os.listdir(folder) if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
    if not names:
        raise InputError(f"{folder}: has no images ({' '.join(EXTENSIONS)}): put some there, or remove the folder")
    return [folder / name for name in sorted(names)]


def _listing(root: Path) -> tuple[list[Path], Tensor, int]:
    """All files, training images first and class by class; their labels; how many of them are to train on."""
    train, test = _splits(root)
    classes = _classes(train)
    for name in sorted(set(classes) ^ set(_classes(test))):
        missing, other = (test / name, train) if name in classes else (train / name, test)
        raise InputError(f"{missing}: no such folder, but {other} has this class: add it, or remove it there")
    files, labels = [], []
    for split in (train, test):
        n_train = len(files)
        for label, name in enumerate(classes):
            paths = _images(split / name)
            files += paths
            labels += [label] * len(paths)
    return files, torch.tensor(labels), n_train


def _digest(content: list) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def _read_cache(cache: Path, contents: str) -> Tensor | None:
    """The images; None where there is no cache, an old one or a damaged one (zip files carry checksums)."""
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            return torch.from_numpy(arrays["images"]) if arrays["contents"] == contents else None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _write_cache(cache: Path, contents: str, images: Tensor) -> None:
    part = cache.with_suffix(".part")  # the lock makes it ours, and a rename makes it whole
    try:
        with part.open("wb") as file:
            np.savez(file, contents=contents, images=images.numpy())
        part.replace(cache)
    finally:
        part.unlink(missing_ok=True)


def _decode(files: list[Path], image_size: int | None) -> Tensor:
    """All images, uint8 [N, 3, H, W].

    By threads, as the decoder runs without Python's lock: processes would have to import torch first, or be forked
    from a process that has threads.
    """
    # Small files are decoded faster than threads hand over the lock: two took twice as long as one for 32x32 JPEGs.
    threads = 1 if files[0].stat().st_size < 2048 else torch.get_num_threads()
    first = read_image(files[0], image_size)
    images = torch.empty(len(files), *first.shape, dtype=torch.uint8)

    def fill(start: int) -> int:
        chunk = files[start : start + CHUNK]
        for i, path in enumerate(chunk, start):
            image = read_image(path, image_size)
            if image.shape != first.shape:
                (_, height, width), (_, first_height, first_width) = image.shape, first.shape
                raise InputError(
                    f"{path}: is {width}x{height}, but {files[0]} is {first_width}x{first_height}: "
                    "give image_size, to which all are then resized"
                )
            images[i] = image
        return len(chunk)

    with (
        ThreadPoolExecutor(threads) as pool,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("decoding images", total=len(files))
        for n in pool.map(fill, range(0, len(files), CHUNK)):
            progress.advance(task, n)
    return images
