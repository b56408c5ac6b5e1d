"""What the readers of annotations share: files and boxes that come from strangers, checked."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from lit_resnet.data.boxes import Annotated, Annotations
from lit_resnet.errors import InputError, shown
from lit_resnet.files import open_file

MOST_PIXELS = 100_000  # of an image's side, beyond which a number is a slip
LONGEST = 100  # letters of a class
OUTSIDE = 1  # pixels that a box may reach over the border of its image: tools that count from 0 or 1 differ by one


def read_bytes(path: Path, most: int) -> bytes:
    """All bytes of a file that has at most `most`.

    Raises:
        InputError: It has more, or cannot be read.
    """
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size > most:
                raise InputError(f"{path}: is larger than {most >> 20} MiB, which no such file is: replace it")
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def files_in(folder: Path) -> list[str]:
    """The names in a folder; none where there is no folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None


def check_class(name: object, where: str) -> str:
    """The name of a class.

    Raises:
        InputError: It is no text, empty, long, or has control characters.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST or not name.isprintable() or name != name.strip():
        raise InputError(f"{where}: the class is called {shown(name)}: write a name of 1 to {LONGEST} letters")
    return name


def check_relative(name: object, where: str) -> str:
    """The name of a file below a folder.

    Raises:
        InputError: It is no such name, or leads out of the folder.
    """
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
    if not path.name or path.is_absolute() or ".." in path.parts or not str(path).isprintable() or "\\" in str(path):
        raise InputError(f"{where}: the file is called {shown(name)}: write the name of a file in the images' folder")
    return str(path)


def fit(
    boxes: np.ndarray, heights: np.ndarray | int, widths: np.ndarray | int, words: Callable[[int], str]
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes within their images, and which of them have width and height.

    Args:
        boxes: float64 [n, 4], finite.
        heights: Of their images, in pixels: [n], or one for all.
        widths: Likewise.
        words: Says which box the i-th one is, with its file.

    Returns:
        The boxes, cut off at the border of the image, and a mask, bool [n]: False for those to leave out.

    Raises:
        InputError: A box reaches over the border by more than `OUTSIDE` pixels.
    """
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    ends = np.empty_like(boxes)
    ends[:, 0::2], ends[:, 1::2] = np.reshape(widths, (-1, 1)), np.reshape(heights, (-1, 1))
    outside = solid & ((boxes < -OUTSIDE) | (boxes > ends + OUTSIDE)).any(1)
    if outside.any():
        i = int(outside.argmax())
        box, (width, height) = ", ".join(f"{value:g}" for value in boxes[i]), ends[i, :2]
        raise InputError(
            f"{words(i)}: the box from x, y to x, y [{box}] is outside its image of {width:g}x{height:g} pixels: "
            "correct the box or the size"
        )
    boxes = np.clip(boxes, 0, ends)
    return boxes, solid & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def areas_of(boxes: np.ndarray) -> np.ndarray:
    """The areas of boxes [n, 4]: float64 [n]."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def check_twice(images: Iterable[Annotated], sets: Sequence[str]) -> None:
    """Refuse sets that share an image, or have two of one name.

    Raises:
        InputError: With the name.
    """
    files: dict[str, str] = {}
    for image in images:
        if image.name in files:
            which = "is" if files[image.name] == image.file else f"and {files[image.name]} are both"
            raise InputError(
                f"{image.file}: {which} image {image.name} of the sets {', '.join(sets)}: name sets that share none"
            )
        files[image.name] = image.file


def check_sets(train: Sequence[str], test: Sequence[str]) -> None:
    """Refuse names of sets, before anything is read: none, or one to train on and to test on.

    Raises:
        InputError: With the name of the set.
    """
    for key, sets in (("data.train", train), ("data.test", test)):
        if not sets:
            raise InputError(f"{key} is empty: write the names of one set or more")
    for name in train:
        if name in test:
            raise InputError(f"{name} is in data.train and in data.test: name other sets to test on")


def check_images(train: Annotations, test: Annotations) -> None:
    """Refuse images that are trained on and tested on, as where a set holds another; and those without any object.

    Raises:
        InputError: With the image, or what is missing.
    """
    if not train.truth:
        raise InputError(
            f"{train.images[0].file}: an image to train on, without annotations: add them, or name other sets"
        )
    for annotations, use, purpose in ((train, "train on", "learn"), (test, "test on", "find")):
        if annotations.truth and all(image.ignored.all() for image in annotations.images):
            first = annotations.images[0].file
            raise InputError(f"{first}, the first image to {use}, and all others have no object to {purpose}: add them")
    tested = {image.file for image in test.images}
    both = [image.file for image in train.images if image.file in tested]
    if both:
        others = f" (and {len(both) - 1} others are)" if len(both) > 1 else ""
        raise InputError(
            f"{both[0]}: is in a set of data.train and in one of data.test{others}: name sets that share no image"
        )


def digest(annotations: Annotations) -> str:
    """SHA-256 of the names and sizes of the images' files, and of all that is known about them.

    Raises:
        InputError: A file is missing.
    """
    sha = hashlib.sha256(repr((annotations.classes, annotations.categories, annotations.truth)).encode())
    for image in annotations.images:
        try:
            size = os.stat(image.file).st_size
        except OSError as error:
            raise InputError(f"{image.file}: cannot be read ({error.strerror})") from None
        sha.update(repr((image.name, os.path.basename(image.file), size, image.height, image.width)).encode())
        for values in (image.boxes, image.labels, image.ignored, image.areas):
            sha.update(np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()
