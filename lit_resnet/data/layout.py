"""Folders of images: `root/train/<class>/*`, and `root/val/<class>/*` (or `test`) or a val/ without class folders.

Images are the files that end in .jpg, .jpeg, .png or .webp, in small letters or capitals; other files, and names that
begin with a dot, are ignored. Classes are numbered by their sorted names, as torchvision numbers ImageNet's.

The validation images of ImageNet come in one folder, `val/ILSVRC2012_val_00000001.JPEG` and so on. Their labels are
then read from a file in `root`: torchvision's `meta.bin`, the development kit from which torchvision makes that, or
Kaggle's `LOC_val_solution.csv`.
"""

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from lit_resnet.errors import InputError, did_you_mean

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
META, DEVKIT, KAGGLE = "meta.bin", "ILSVRC2012_devkit_t12.tar.gz", "LOC_val_solution.csv"
WNID = re.compile(r"n\d{8}")

# Names of the folder of test images, the preferred one first.
# Photographs: val/ comes first, as ImageNet's own test images have no labels.
VAL_THEN_TEST = ("val", "test")
# Small images: where both folders are there, val/ is not used.
TEST_THEN_VAL = ("test", "val")

# Files, class by class, and their labels, int64 [N]. Strings take a sixth of the memory of a million Paths.
Labelled = tuple[list[str], Tensor]


def split_folders(root: Path, tests: tuple[str, str]) -> tuple[Path, Path]:
    """The folder of the training images and that of the test images, the first of the names `tests` that exists.

    Raises:
        InputError: One is missing.
    """
    if not root.is_dir():
        raise InputError(
            f"{root}: no such folder: give as root one that has train/<class>/ and {tests[0]}/<class>/ in it"
        )
    train = root / "train"
    if not train.is_dir():
        raise InputError(f"{train}: no such folder: put the training images in {train}/<class>/")
    for name in tests:
        if (root / name).is_dir():
            return train, root / name
    raise InputError(
        f"{root}: has neither {tests[0]}/ nor {tests[1]}/: put the test images in {root}/{tests[0]}/<class>/"
    )


def class_names(root: Path, tests: tuple[str, str]) -> list[str]:
    """The classes, sorted, from the names of folders alone.

    Raises:
        InputError: A folder is missing, or the two splits differ in their classes.
    """
    train, test = split_folders(root, tests)
    names = _folders(train)
    if not names:
        raise InputError(f"{train}: has no class folders: put the images in {train}/<class>/")
    test_names = _folders(test)
    if test_names:  # else the images lie in the folder of the split itself
        for name in sorted(set(names) ^ set(test_names)):
            missing, other = (test / name, train) if name in names else (train / name, test)
            raise InputError(f"{missing}: no such folder, but {other} has this class: add it, or remove it there")
    return names


def training_images(root: Path, tests: tuple[str, str]) -> Labelled:
    """The files and labels of the training images.

    Raises:
        InputError: As `class_names`; or a class has no images.
    """
    return _by_class(split_folders(root, tests)[0], class_names(root, tests))


def test_images(root: Path, tests: tuple[str, str]) -> Labelled:
    """The files and labels of the test images.

    Raises:
        InputError: As `class_names`; or a class has no images, or the file of labels is damaged or is for other images.
    """
    test, names = split_folders(root, tests)[1], class_names(root, tests)
    return _by_class(test, names) if _folders(test) else _flat(root, test, names)


def images_in(folder: Path) -> list[str]:
    """The images of a folder, sorted.

    Raises:
        InputError: It has none.
    """
    names = [name for name in os.listdir(folder) if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
    if not names:
        raise InputError(f"{folder}: has no images ({' '.join(EXTENSIONS)}): put some there, or remove the folder")
    return [os.path.join(folder, name) for name in sorted(names)]


def is_imagenet(classes: list[str]) -> bool:
    """Whether these look like the classes of ILSVRC 2012: 1000 names such as n01440764."""
    return len(classes) == 1000 and all(map(WNID.fullmatch, classes))


def _folders(split: Path) -> list[str]:
    with os.scandir(split) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _by_class(split: Path, names: list[str]) -> Labelled:
    files: list[str] = []
    counts = []
    for name in names:
        found = images_in(split / name)
        files += found
        counts.append(len(found))
    return files, torch.arange(len(names)).repeat_interleave(torch.tensor(counts))


def _flat(root: Path, test: Path, names: list[str]) -> Labelled:
    """The files and labels of images that lie in the folder of the split itself."""
    files = images_in(test)
    source, read = _label_file(root, test)
    wnids = read(source)
    if len(wnids) != len(files):
        raise InputError(
            f"{source}: has the labels of {len(wnids)} images, but {test} has {len(files)}: put them all there, or "
            "replace the file"
        )
    images = [Path(file).stem for file in files]
    for image in images:
        if image not in wnids:
            raise InputError(f"{source}: has no label of {image}: it belongs to other images; replace it")
    number = {name: label for label, name in enumerate(names)}
    for wnid in sorted(set(wnids.values()) - set(number)):
        raise InputError(
            f"{source}: has the class {wnid}, but {root / 'train'} has no such folder{did_you_mean(wnid, names)}: "
            "add it, or replace the file"
        )
    return files, torch.tensor([number[wnids[image]] for image in images])


def _label_file(root: Path, test: Path) -> tuple[Path, Callable[[Path], dict[str, str]]]:
    """The file of labels, and the function that reads it."""
    meta, devkit, kaggle = root / META, root / DEVKIT, root / KAGGLE
    if kaggle.is_file() and not meta.is_file():
        return kaggle, _read_kaggle
    if devkit.is_file() and not meta.is_file():
        return devkit, _read_devkit
    if not meta.is_file():
        raise InputError(
            f"{test}: has no class folders, and there is no file of its labels: put {META}, {DEVKIT} or {KAGGLE} in "
            f"{root}, or the images in {test}/<class>/"
        )
    return meta, _read_meta


def _read_meta(path: Path) -> dict[str, str]:
    """Read the class of each image from torchvision's list, which is in the order of the images' official numbers."""
    try:
        _, wnids = torch.load(path, weights_only=True)
        if not isinstance(wnids, list) or not all(isinstance(wnid, str) for wnid in wnids):
            raise TypeError
    except Exception:  # torch.load raises many kinds, depending on the damage
        raise InputError(f"{path}: damaged, or not torchvision's: replace it, or put {DEVKIT} in its place") from None
    return {f"ILSVRC2012_val_{number:08d}": wnid for number, wnid in enumerate(wnids, start=1)}


def _read_devkit(path: Path) -> dict[str, str]:
    """Read the class of each image: torchvision makes `meta.bin` in another folder, as this one may be read-only."""
    from torchvision.datasets.imagenet import parse_devkit_archive

    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / DEVKIT).symlink_to(path.absolute())
        try:
            parse_devkit_archive(folder)
        except RuntimeError:
            raise InputError(f"{path}: damaged: replace it") from None
        return _read_meta(folder / META)


def _read_kaggle(path: Path) -> dict[str, str]:
    """Read the class of each image from lines like `ILSVRC2012_val_00048981,n03995372 85 1 499 272` (class and box)."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            wnids = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
        if not wnids:
            raise ValueError
    except (OSError, ValueError, KeyError, AttributeError, IndexError, csv.Error):
        raise InputError(f"{path}: damaged, or not Kaggle's (ImageId,PredictionString): replace it") from None
    return wnids
