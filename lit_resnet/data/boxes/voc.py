"""PASCAL VOC's annotations: an XML file an image, and lists of images.

A VOCdevkit has a folder for each year, and its sets are written with it: `2007/trainval` is the list
`VOC2007/ImageSets/Main/trainval.txt`, of images in `VOC2007/JPEGImages` and XML files in `VOC2007/Annotations`. Other
data sets have one folder of this layout, and their sets are written without a year: `trainval`. What is written with a
year is PASCAL VOC's: its objects are of the 20 classes, and of 2007's test set the boxes are public.

VOC counts pixels from 1, and a box holds its last pixels: in continuous coordinates xmin, ymin, xmax, ymax become
[xmin - 1, ymin - 1, xmax, ymax]. A box of a single pixel, which somebody clicked and did not draw, is left out as one
without width and height.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from lit_resnet.data.boxes import Annotated, Annotations
from lit_resnet.data.boxes.checks import (
    MOST_PIXELS,
    areas_of,
    check_class,
    check_relative,
    check_twice,
    files_in,
    fit,
    read_bytes,
)
from lit_resnet.errors import InputError, did_you_mean, shown

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
# The paper's two experiments, by the sets that are trained on and tested on.
NAMES = {
    (frozenset({"2007/trainval", "2012/trainval"}), frozenset({"2007/test"})): "VOC 07+12",
    (frozenset({"2007/trainval", "2007/test", "2012/trainval"}), frozenset({"2012/test"})): "VOC 07++12",
}
SUFFIXES = (".jpg", ".jpeg", ".png")
SET = re.compile(r"(?:(\d{4})/)?(\w[\w.+-]*)", re.ASCII)
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
SIDES = ("xmin", "ymin", "xmax", "ymax")
MOST_XML, MOST_LIST = 4 << 20, 64 << 20  # bytes


@dataclass(frozen=True, eq=False)
class _Image:
    """An image as `Annotated`, with the names of its objects' classes."""

    name: str
    file: str
    height: int
    width: int
    boxes: np.ndarray
    classes: tuple[str, ...]
    ignored: np.ndarray


@dataclass(frozen=True, eq=False)
class _Set:
    images: tuple[_Image, ...]
    degenerate: tuple[str, ...]
    truth: bool


class Voc:
    """Data sets in VOC's layout."""

    judged = "voc"
    protocols = ("voc07", "voc10")

    def classes(self, root: Path, sets: Sequence[str]) -> tuple[str, ...]:
        """VOC's 20 classes where all objects of these sets are of them, else the sorted names of the objects' classes.

        Ask with the sets to train on and those to test on: a class that only the latter have gets a label too. It is
        never learned, so its AP is 0.

        Raises:
            InputError: As `read`.
        """
        names = {name for _, one in _sets(root, sets) for image in one.images for name in image.classes}
        return CLASSES if names <= set(CLASSES) else tuple(sorted(names))

    def read(self, root: Path, sets: Sequence[str], classes: Sequence[str] | None = None) -> Annotations:
        """The images of sets, and their objects; `difficult` ones are `ignored`.

        A set of which no image has an XML file is one without truth, as VOC 2012's test set is. The sizes of its images
        are then from their headers.

        Args:
            root: The VOCdevkit, or the folder of this layout.
            sets: Names of the sets.
            classes: All classes; those of these sets where it is None.

        Raises:
            InputError: A file is missing or damaged, or has something that no such file should have; or an object is of
                another class.
        """
        classes = self.classes(root, sets) if classes is None else tuple(classes)
        labels = {name: label for label, name in enumerate(classes)}
        found = list(_sets(root, sets))
        known = {one.truth: name for name, one in found}
        if len(known) > 1:
            raise InputError(f"{known[True]} has annotations, and {known[False]} has none: name only sets of one kind")
        for name, one in found:
            for other in {name for image in one.images for name in image.classes} - set(labels):
                raise InputError(
                    f"{root}: set {name} has objects of class {other}, which is none of the {len(classes)} classes"
                    f"{did_you_mean(other, classes)}"
                )
        images = tuple(
            Annotated(
                image.name,
                image.file,
                image.height,
                image.width,
                image.boxes,
                np.array([labels[name] for name in image.classes], np.int64),
                image.ignored,
                areas_of(image.boxes),
            )
            for _, one in found
            for image in one.images
        )
        check_twice(images, sets)
        degenerate = tuple(words for _, one in found for words in one.degenerate)
        return Annotations(images, classes, tuple(range(1, len(classes) + 1)), degenerate, all(known))

    def name(self, train: Sequence[str], test: Sequence[str], root: Path) -> str:
        """`VOC 07+12` and `VOC 07++12` for the paper's sets, else `voc:` and the folder's name."""
        return NAMES.get((frozenset(train), frozenset(test)), f"voc:{root.absolute().name}")


def _sets(root: Path, sets: Sequence[str]) -> Iterator[tuple[str, _Set]]:
    for name in sets:
        folder, listed = _list_of(root, name)
        stamps = tuple(_stamp(path) for path in (listed, folder / "Annotations", folder / "JPEGImages"))
        found = _read_set(folder, listed, stamps)
        if folder != root:
            _check_pascal(folder, name, found)
        yield name, found


def _check_pascal(folder: Path, name: str, found: _Set) -> None:
    """Refuse a set with a year that has objects that PASCAL VOC does not have, or whose boxes are missing.

    Raises:
        InputError: With the first file.
    """
    own = f"for data of your own write root {folder}, and its sets without a year"
    described = folder / "Annotations"
    if not found.truth and folder.name == "VOC2007":
        raise InputError(f"{described}: no file of set {name}, whose boxes are public: unpack them; {own}")
    for image in found.images:
        for other in image.classes:
            if other not in CLASSES:
                raise InputError(
                    f"{described / image.name}.xml: has an object of class {other}, which is none of PASCAL VOC's 20"
                    f"{did_you_mean(other, CLASSES)}; {own}"
                )


def _list_of(root: Path, name: str) -> tuple[Path, Path]:
    """The folder of a set, and the list of its images.

    Raises:
        InputError: There is no such set.
    """
    match = SET.fullmatch(name)
    if not match:
        raise InputError(
            f"{shown(name)} is no name of a set: write 2007/trainval, or trainval where there are no years"
        )
    folder = root / f"VOC{match[1]}" if match[1] else root
    path = folder / "ImageSets" / "Main" / f"{match[2]}.txt"
    if not path.is_file():
        known = list(_known_sets(root))
        if not known:
            raise InputError(
                f"{root}: has no sets (VOC2007/ImageSets/Main/*.txt, or ImageSets/Main/*.txt): "
                "give as root a VOCdevkit, or a folder of that layout"
            )
        near = did_you_mean(name, known)
        near = near or f"; there are {', '.join([one for one in known if '_' not in one][:8]) or known[0]}"
        raise InputError(f"{path}: no such file, the list of set {name}{near}")
    return folder, path


def _known_sets(root: Path) -> Iterator[str]:
    for folder in (root, *sorted(root.glob("VOC[0-9][0-9][0-9][0-9]"))):
        year = "" if folder == root else f"{folder.name.removeprefix('VOC')}/"
        yield from sorted(f"{year}{path.stem}" for path in (folder / "ImageSets" / "Main").glob("*.txt"))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _read_set(folder: Path, listed: Path, stamps: tuple[int, ...]) -> _Set:
    """Read a set; once in a process, unless its list is written anew, or a file comes to its folders (`stamps`)."""
    files: dict[str, list[str]] = {}
    for file in files_in(folder / "JPEGImages"):
        stem, dot, suffix = file.rpartition(".")
        if f"{dot}{suffix}".lower() in SUFFIXES:
            files.setdefault(stem, []).append(file)
    names = _names(listed)
    for name in names:
        if len(files.get(name, ())) != 1:
            what = f"more than one file ({', '.join(sorted(files[name]))})" if name in files else "no image"
            raise InputError(f"{folder / 'JPEGImages' / name}.jpg: {listed} names it, and there is {what} of that name")
    described = set(files_in(folder / "Annotations"))
    missing = [name for name in names if f"{name}.xml" not in described]
    if 0 < len(missing) < len(names):
        others = f" (and {len(missing) - 1} more are missing)" if len(missing) > 1 else ""
        raise InputError(f"{folder / 'Annotations' / missing[0]}.xml: no such file, but {listed} names it{others}")
    paths = {name: folder / "JPEGImages" / files[name][0] for name in names}
    if missing:
        return _Set(tuple(_without_truth(name, path) for name, path in paths.items()), (), False)
    degenerate: list[str] = []
    images = [_read_xml(folder / "Annotations" / f"{name}.xml", name, path, degenerate) for name, path in paths.items()]
    return _Set(tuple(images), tuple(degenerate), True)


def _names(listed: Path) -> list[str]:
    """The names of a list, one a line."""
    try:
        lines = read_bytes(listed, MOST_LIST).decode().splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{listed}: not a list of images: write one name a line") from None
    names = []
    for number, line in enumerate(lines, start=1):
        where = f"{listed}, line {number}"
        if len(line.split()) > 1:
            raise InputError(f"{where}: is {shown(line)}: write one name a line; lists of one class's images have more")
        if line.strip():
            name = check_relative(line.strip(), where)
            if "/" in name:
                raise InputError(f"{where}: is {shown(line)}: write the name of an image, without a folder")
            names.append(name)
    if not names:
        raise InputError(f"{listed}: names no image: write one name a line")
    if len(set(names)) < len(names):
        ((twice, _),) = Counter(names).most_common(1)
        raise InputError(f"{listed}: names {twice} twice: remove one of the lines")
    return names


def _without_truth(name: str, path: Path) -> _Image:
    """An image of which only the size is known, from its header."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        raise InputError(f"{path}: not an image, or a damaged one: replace it") from None
    return _Image(name, str(path), height, width, np.zeros((0, 4)), (), np.zeros(0, bool))


class _Plain(ElementTree.TreeBuilder):
    """Builds the tree of a file that declares no entities, with which small files become large."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse the declaration, in which entities would stand, as soon as it begins."""
        raise ValueError("has a DOCTYPE, which no annotation needs: remove it")


def _read_xml(path: Path, name: str, image: Path, degenerate: list[str]) -> _Image:
    """Read the annotation of an image; boxes without width or height go to `degenerate`, in words."""
    try:
        tree = ElementTree.fromstring(read_bytes(path, MOST_XML), ElementTree.XMLParser(target=_Plain()))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error}): replace it") from None
    except (ValueError, LookupError) as error:
        raise InputError(f"{path}: {error}") from None
    if tree.tag != "annotation":
        raise InputError(f"{path}: its outermost element is {shown(tree.tag)}: VOC's files have <annotation>")
    width, height = (_side(tree, side, path) for side in ("width", "height"))
    objects = tree.findall("object")
    classes = tuple(_text(one, "name") for one in objects)
    for number, known in enumerate(classes, start=1):
        check_class(known, f"{path}, object {number}")
    boxes = np.empty((len(objects), 4))
    ignored = np.zeros(len(objects), bool)
    for i, one in enumerate(objects):
        boxes[i] = _box(one, path, i + 1)
        difficult = _text(one, "difficult") or "0"
        if difficult not in ("0", "1"):
            raise InputError(f"{path}, object {i + 1}: difficult is {shown(difficult)}: write 0 or 1")
        ignored[i] = difficult == "1"
    single = (boxes[:, 2:] <= boxes[:, :2]).all(1)
    boxes[:, :2] -= 1
    boxes, solid = fit(boxes, height, width, lambda i: f"{path}, object {i + 1}")
    solid &= ~single
    if not solid.all():
        degenerate += [f"{path}: object {i + 1} ({classes[i]})" for i in np.flatnonzero(~solid)]
        boxes, ignored = boxes[solid], ignored[solid]
        classes = tuple(known for known, whole in zip(classes, solid, strict=True) if whole)
    return _Image(name, str(image), height, width, boxes, classes, ignored)


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _side(tree: ElementTree.Element, side: str, path: Path) -> int:
    text = _text(tree, f"size/{side}")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= MOST_PIXELS):
        what = f"is {shown(text)}" if text else "is missing"
        raise InputError(f"{path}: size/{side} {what}: write the image's {side} in pixels")
    return int(text)


def _box(element: ElementTree.Element, path: Path, number: int) -> list[float]:
    """VOC's four numbers, as they stand in the file."""
    box = element.find("bndbox")
    if box is None:
        raise InputError(f"{path}, object {number}: has no bndbox: add it, or remove the object")
    values = [_text(box, side) for side in SIDES]
    for side, text in zip(SIDES, values, strict=True):
        if not NUMBER.fullmatch(text):
            what = f"is {shown(text)}" if text else "is missing"
            raise InputError(f"{path}, object {number}: {side} {what}: write a number")
    return [float(text) for text in values]
