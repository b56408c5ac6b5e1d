"""Trees of images: `root/train/<class>/*`, and `root/val/<class>/*` (or `test`) or a val/ without class folders.

A split may lie in archives in the root in place of a folder: see `archives`.

Images are the files that end in .jpg, .jpeg, .png or .webp, in small letters or capitals; other files, and names that
begin with a dot, are ignored. Classes are numbered by their sorted names, as torchvision numbers ImageNet's.

The validation images of ImageNet come in one folder, `val/ILSVRC2012_val_00000001.JPEG` and so on. Their labels are
then read from a file in `root`: torchvision's `meta.bin`, the development kit from which torchvision makes that, or
Kaggle's `LOC_val_solution.csv`.
"""

import csv
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from lit_resnet.data import archives
from lit_resnet.errors import InputError, did_you_mean

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
META, DEVKIT, KAGGLE = "meta.bin", "ILSVRC2012_devkit_t12.tar.gz", "LOC_val_solution.csv"
WNID = re.compile(r"n\d{8}")

# Names of the folder of test images, the preferred one first.
# Photographs: val/ comes first, as ImageNet's own test images have no labels.
VAL_THEN_TEST = ("val", "test")
# Small images: where both folders are there, val/ is not used.
TEST_THEN_VAL = ("test", "val")

# Files, class by class, and their labels, int64 [N]. Files are named by paths, or as in `archives`; strings take a
# sixth of the memory of a million Paths.
Labelled = tuple[list[str], Tensor]


@dataclass(frozen=True)
class InFolder:
    """The images of a split, in a folder.

    Args:
        path: The folder, or, of images in archives, where it would be.
    """

    path: Path

    def classes(self) -> list[str]:
        """The names of its folders, sorted; none where the images lie in the folder of the split itself."""
        with os.scandir(self.path) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())

    def of(self, name: str = "") -> list[str]:
        """The images of a class, or those of none, sorted.

        Raises:
            InputError: There are none.
        """
        folder = self.path / name
        names = [name for name in os.listdir(folder) if is_image(name)]
        if not names:
            raise InputError(f"{folder}: has no images ({' '.join(EXTENSIONS)}): put some there, or remove the folder")
        return [os.path.join(folder, name) for name in sorted(names)]


@dataclass(frozen=True)
class InArchives(InFolder):
    """The images of a split, in archives."""

    files: Mapping[str, Sequence[str]]

    def classes(self) -> list[str]:
        """See `InFolder`.

        Raises:
            InputError: Some images are in folders and some are not, as where a class is called like a split.
        """
        names = sorted(set(self.files) - {""})
        if names and "" in self.files:
            raise InputError(
                f"{self.files[''][0].rpartition('//')[0]}: is in no class, and other images of {self.path.name} are: "
                "put it into the folder of its class, which cannot be called train, val or test"
            )
        return names

    def of(self, name: str = "") -> list[str]:
        """See `InFolder`."""
        return list(self.files[name])


def splits(root: Path, tests: tuple[str, str]) -> tuple[InFolder, InFolder]:
    """The training images and the test images, the first of the names `tests` that exists.

    Raises:
        InputError: One is missing, or an archive cannot be read.
    """
    if not root.is_dir():
        raise InputError(
            f"{root}: no such folder: give as root one that has train/<class>/ and {tests[0]}/<class>/ in it, or "
            "archives of these"
        )
    found = {name: InFolder(root / name) for name in ("train", *tests) if (root / name).is_dir()}
    if "train" not in found or len(found) < 2:  # beside folders of both an archive may be anything
        archived = archives.images(root, is_image)
        found = {name: InArchives(root / name, files) for name, files in archived.items()} | found
    if "train" not in found:
        raise InputError(
            f"{root / 'train'}: no such folder: put the training images in {root / 'train'}/<class>/, or in train.tar"
        )
    for name in tests:
        if name in found:
            return found["train"], found[name]
    raise InputError(
        f"{root}: has neither {tests[0]}/ nor {tests[1]}/: put the test images in {root}/{tests[0]}/<class>/, or in "
        f"{tests[0]}.tar"
    )


def is_image(name: str) -> bool:
    """Whether a name is that of an image."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def class_names(root: Path, tests: tuple[str, str]) -> list[str]:
    """The classes, sorted, from the names of folders alone.

    Raises:
        InputError: A folder is missing, or the two splits differ in their classes.
    """
    train, test = splits(root, tests)
    names = train.classes()
    if not names:
        raise InputError(f"{train.path}: has no class folders: put the images in {train.path}/<class>/")
    test_names = test.classes()
    if test_names:  # else the images lie in the folder of the split itself
        for name in sorted(set(names) ^ set(test_names)):
            missing, other = (test.path / name, train.path) if name in names else (train.path / name, test.path)
            raise InputError(f"{missing}: no such folder, but {other} has this class: add it, or remove it there")
    return names


def training_images(root: Path, tests: tuple[str, str]) -> Labelled:
    """The files and labels of the training images.

    Raises:
        InputError: As `class_names`; or a class has no images.
    """
    return _by_class(splits(root, tests)[0], class_names(root, tests))


def test_images(root: Path, tests: tuple[str, str]) -> Labelled:
    """The files and labels of the test images.

    Raises:
        InputError: As `class_names`; or a class has no images, or the file of labels is damaged or is for other images.
    """
    test, names = splits(root, tests)[1], class_names(root, tests)
    return _by_class(test, names) if test.classes() else _flat(root, test, names)


def is_imagenet(classes: list[str]) -> bool:
    """Whether these look like the classes of ILSVRC 2012: 1000 names such as n01440764."""
    return len(classes) == 1000 and all(map(WNID.fullmatch, classes))


def _by_class(split: InFolder, names: list[str]) -> Labelled:
    files: list[str] = []
    counts = []
    for name in names:
        found = split.of(name)
        files += found
        counts.append(len(found))
    return files, torch.arange(len(names)).repeat_interleave(torch.tensor(counts))


def _flat(root: Path, test: InFolder, names: list[str]) -> Labelled:
    """The files and labels of images that lie in the folder of the split itself."""
    files = test.of()
    source, read = _label_file(root, test.path)
    wnids = read(source)
    if len(wnids) != len(files):
        raise InputError(
            f"{source}: has the labels of {len(wnids)} images, but {test.path} has {len(files)}: put them all there, "
            "or replace the file"
        )
    images = [Path(archives.entry(file)[1]).stem for file in files]
    for image in images:
        if image not in wnids:
            raise InputError(f"{source}: has no label of {image}: it belongs to other images; replace it")
    number = {name: label for label, name in enumerate(names)}
    for wnid in sorted(set(wnids.values()) - set(number)):
        raise InputError(
            f"{source}: has the class {wnid}, but {root / 'train'} has no such folder{did_you_mean(wnid, names)}: "
            "add it, or replace the file"
        )
    labels, order = torch.tensor([number[wnids[image]] for image in images]).sort(stable=True)  # as in a folder a class
    return [files[i] for i in order], labels


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
