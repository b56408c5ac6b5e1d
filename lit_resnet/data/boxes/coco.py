"""COCO's annotations: one JSON file a set, `annotations/instances_<set>.json`, of the images in the folder `<set>`.

A box is [x, y, width, height] in continuous coordinates. Test sets, whose annotations are not public, have only
`annotations/image_info_<set>.json`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

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

PAPERS = (["train2014"], ["val2014"])  # the sets that the paper trains on and tests on
SET = re.compile(r"\w[\w.+-]*", re.ASCII)
INSTANCES, INFO = "instances_", "image_info_"
MOST_JSON = 2 << 30  # bytes; COCO's largest file has 470 million
MOST_ID = 1 << 53  # beyond which other programs that read JSON lose digits


@dataclass(frozen=True, eq=False)
class _Set:
    """A set as `Annotations`; `path` is its file."""

    path: Path
    images: tuple[Annotated, ...]
    classes: tuple[str, ...]
    categories: tuple[int, ...]
    degenerate: tuple[str, ...]
    truth: bool


class Coco:
    """Data sets in COCO's layout."""

    judged = "coco"
    protocols = ("coco",)

    def classes(self, root: Path, sets: Sequence[str]) -> tuple[str, ...]:
        """The names of the categories, in the order of the file; the same in all these sets.

        Raises:
            InputError: As `read`.
        """
        return _sets(root, sets)[0].classes

    def read(self, root: Path, sets: Sequence[str], classes: Sequence[str] | None = None) -> Annotations:
        """The images of sets, each set's in the order of their ids, and their objects; `iscrowd` ones are `ignored`.

        Args:
            root: The folder with `annotations/` and a folder of images for each set.
            sets: Names of the sets, `train2014`.
            classes: The classes that they must have; None for any.

        Raises:
            InputError: A file is missing or damaged, or has something that no such file should have; or the sets have
                other classes.
        """
        found = _sets(root, sets)
        first = found[0]
        if classes is not None and tuple(classes) != first.classes:
            other = next(iter(sorted(set(first.classes) ^ set(classes))), "in another order")
            raise InputError(f"{first.path}: its categories are not the classes asked for ({other}): name other sets")
        for one in found:
            if one.truth != first.truth:
                with_truth, without = (one.path, first.path) if one.truth else (first.path, one.path)
                raise InputError(f"{with_truth} has annotations, and {without} has none: name only sets of one kind")
        images = tuple(image for one in found for image in one.images)
        check_twice(images, sets)
        degenerate = tuple(words for one in found for words in one.degenerate)
        return Annotations(images, first.classes, first.categories, degenerate, first.truth)

    def name(self, train: Sequence[str], test: Sequence[str], root: Path) -> str:
        """`COCO 2014` for the paper's sets, else `coco:` and the folder's name."""
        return "COCO 2014" if (list(train), list(test)) == PAPERS else f"coco:{root.absolute().name}"


def _sets(root: Path, sets: Sequence[str]) -> list[_Set]:
    """The sets.

    Raises:
        InputError: Their categories differ.
    """
    found = []
    for name in sets:
        path = _file_of(root, name)
        stat = path.stat()
        found.append(_read_set(path, _folder_of(root, name), (stat.st_mtime_ns, stat.st_size)))
    first = found[0]
    for one in found[1:]:
        if (one.classes, one.categories) != (first.classes, first.categories):
            raise InputError(f"{one.path}: has other categories than {first.path}: name sets with the same ones")
    return found


def _file_of(root: Path, name: str) -> Path:
    """The file of a set.

    Raises:
        InputError: There is no such set.
    """
    if not SET.fullmatch(name):
        raise InputError(f"{shown(name)} is no name of a set: write one such as train2014")
    folder = root / "annotations"
    for kind in (INSTANCES, INFO):
        path = folder / f"{kind}{name}.json"
        if path.is_file():
            return path
    files = [file.removesuffix(".json") for file in sorted(files_in(folder)) if file.endswith(".json")]
    known = [file.removeprefix(kind) for kind in (INSTANCES, INFO) for file in files if file.startswith(kind)]
    if not known:
        raise InputError(f"{folder}: has no {INSTANCES}*.json: give as root the folder that has COCO's annotations/")
    near = did_you_mean(name, known) or f"; there are {', '.join(known[:8])}"
    raise InputError(f"{folder / INSTANCES}{name}.json: no such file{near}")


def _folder_of(root: Path, name: str) -> Path:
    """The folder of a set's images; test-dev2015 is a part of test2015."""
    folder = root / name
    return folder if folder.is_dir() else root / name.replace("-dev", "")


@lru_cache(maxsize=4)
def _read_set(path: Path, folder: Path, stamp: tuple[int, int]) -> _Set:
    """Read a set; once in a process, unless its file changes (`stamp`: when, and its size)."""
    content = _parse(path)
    truth = path.name.startswith(INSTANCES)
    for key in ("images", "categories", *(("annotations",) if truth else ())):
        if not isinstance(content.get(key), list):
            what = f"is {shown(content[key])}" if key in content else "is missing"
            raise InputError(f"{path}: {key} {what}: it must be a list; is this a file of COCO's instances?")
    categories = _categories(content["categories"], path)
    images = _images(content["images"], path, folder)
    rows, degenerate = {}, ()
    if truth:
        rows, degenerate = _objects(content["annotations"], categories, images, path)
    none = [np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0)]
    annotated = tuple(
        Annotated(str(number), file, height, width, *rows.get(number, none))
        for number, (file, height, width) in sorted(images.items())
    )
    return _Set(path, annotated, tuple(categories.values()), tuple(categories), degenerate, truth)


def _parse(path: Path) -> dict[str, Any]:
    """The JSON of a file, without the objects' outlines, which are most of it."""

    def without_outline(value: dict[str, Any]) -> dict[str, Any]:
        value.pop("segmentation", None)
        return value

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"has {constant}, which is no number")

    try:
        text = read_bytes(path, MOST_JSON).decode()
        content = json.loads(text, object_hook=without_outline, parse_constant=refuse)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not JSON: replace it") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}): replace it") from None
    except (ValueError, RecursionError) as error:
        words = "is nested too deep" if isinstance(error, RecursionError) else error
        raise InputError(f"{path}: {words}: replace it") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no JSON object with images, annotations and categories")
    return content


def _categories(content: list[Any], path: Path) -> dict[int, str]:
    """The names of the categories, by their ids."""
    found: dict[int, str] = {}
    for i, one in enumerate(content):
        where = f"{path}, categories[{i}]"
        number = _id(one, "id", where)
        name = check_class(one.get("name"), where)
        if number in found or name in found.values():
            raise InputError(f"{where}: {name} or its id {number} stands twice: give each category its own")
        found[number] = name
    if not found:
        raise InputError(f"{path}: categories is empty: name the classes there")
    return found


def _images(content: list[Any], path: Path, folder: Path) -> dict[int, tuple[str, int, int]]:
    """File, height and width of each image, by its id."""
    there = set(files_in(folder))
    found: dict[int, tuple[str, int, int]] = {}
    for i, one in enumerate(content):
        where = f"{path}, images[{i}]"
        number = _id(one, "id", where)
        if number in found:
            raise InputError(f"{where}: id {number} stands twice: give each image its own")
        name = check_relative(one.get("file_name"), where)
        sides = [one.get("height"), one.get("width")]
        for key, side in zip(("height", "width"), sides, strict=True):
            if type(side) is not int or not 0 < side <= MOST_PIXELS:
                raise InputError(f"{where}: {key} is {shown(side)}: write the image's {key} in pixels")
        file = folder / name
        if name not in there and not ("/" in name and file.is_file()):
            raise InputError(f"{file}: no such file, but {path} names it: put it there")
        found[number] = (str(file), sides[0], sides[1])
    if not found:
        raise InputError(f"{path}: images is empty")
    return found


def _objects(
    content: list[Any], categories: dict[int, str], images: dict[int, tuple[str, int, int]], path: Path
) -> tuple[dict[int, list[np.ndarray]], tuple[str, ...]]:
    """Boxes, labels, `ignored` and areas of the images that have objects, by their ids; and the boxes left out."""
    labels = {number: label for label, number in enumerate(categories)}
    owners = np.empty(len(content), np.int64)
    kinds = np.empty(len(content), np.int64)
    crowds = np.empty(len(content), bool)
    areas = np.empty(len(content))
    boxes = np.empty((len(content), 4))
    for i, one in enumerate(content):
        if not isinstance(one, dict):
            raise InputError(f"{path}, annotations[{i}]: is {shown(one)}: it must be an object with bbox")
        owner, kind, box = one.get("image_id"), one.get("category_id"), one.get("bbox")
        crowd, area = one.get("iscrowd", 0), one.get("area")
        if type(owner) is not int or owner not in images:
            raise InputError(f"{path}, annotations[{i}]: image_id is {shown(owner)}, which none of its images has")
        if type(kind) is not int or kind not in labels:
            raise InputError(f"{path}, annotations[{i}]: category_id is {shown(kind)}, which no category has")
        if type(box) is not list or len(box) != 4 or not all(map(_is_number, box)):
            raise InputError(f"{path}, annotations[{i}]: bbox is {shown(box)}: write [x, y, width, height] in pixels")
        if crowd not in (0, 1):
            raise InputError(f"{path}, annotations[{i}]: iscrowd is {shown(crowd)}: write 0 or 1")
        if area is not None and (not _is_number(area) or area < 0):
            raise InputError(f"{path}, annotations[{i}]: area is {shown(area)}: write square pixels, or leave it out")
        owners[i], kinds[i], crowds[i], boxes[i] = owner, labels[kind], crowd, box
        areas[i] = np.nan if area is None else area
    boxes[:, 2:] += boxes[:, :2]
    heights, widths = (np.array([images[int(owner)][side] for owner in owners], float) for side in (1, 2))
    boxes, solid = fit(boxes, heights, widths, lambda i: f"{path}, annotations[{i}]")
    areas = np.where(np.isnan(areas), areas_of(boxes), areas)
    names = tuple(categories.values())
    degenerate = tuple(
        f"{path}: annotations[{i}] ({names[kinds[i]]}) of image {owners[i]}" for i in np.flatnonzero(~solid)
    )
    order = np.flatnonzero(solid)
    order = order[np.argsort(owners[order], kind="stable")]
    found, starts = np.unique(owners[order], return_index=True)
    parts = [np.split(values[order], starts)[1:] for values in (boxes, kinds, crowds, areas)]
    return {int(owner): part for owner, *part in zip(found, *parts, strict=True)}, degenerate


def _id(content: Any, key: str, where: str) -> int:
    if not isinstance(content, dict):
        raise InputError(f"{where}: is {shown(content)}: it must be an object")
    number = content.get(key)
    if type(number) is not int or not 0 <= number < MOST_ID:
        raise InputError(f"{where}: {key} is {shown(number)}: write a whole number, 0 or more")
    return number


def _is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that a coordinate or an area can be."""
    return type(value) in (int, float) and abs(value) <= MOST_PIXELS**2
