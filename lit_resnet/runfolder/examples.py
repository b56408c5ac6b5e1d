"""examples/: some test images of a detector as small JPEGs, with their true boxes and those that it found.

`examples/examples.json` says what is in `examples/1.jpg`, `examples/2.jpg` and so on. Nothing here decodes an image.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lit_resnet.errors import InputError, shown
from lit_resnet.files import read_file, read_json
from lit_resnet.runfolder import writing

NAME = "examples/examples.json"
MOST = 100  # images of a run
MOST_BYTES = 2**22  # of a file
MOST_BOXES = 1000  # true or found, of an image
LONGEST = 200  # letters of a name
SCORE = 0.5  # the least of a box that is kept and drawn
MOST_PIXELS = 4096  # of a side, and of a coordinate

Box = tuple[float, float, float, float]


class Truth(NamedTuple):
    """An object in an image.

    Args:
        label: Its class's name.
        box: (x1, y1, x2, y2) in pixels of the JPEG.
        ignored: Whether it is neither right nor wrong to find it: VOC's `difficult`, COCO's `iscrowd`.
    """

    label: str
    box: Box
    ignored: bool = False


class Detection(NamedTuple):
    """What a detector has found in an image.

    Args:
        label: The class's name.
        box: (x1, y1, x2, y2) in pixels of the JPEG.
        score: From 0 to 1.
    """

    label: str
    box: Box
    score: float


class Example(NamedTuple):
    """A test image with what is in it and what was found.

    Args:
        name: Of the image in its data set.
        jpeg: The content of the JPEG file.
        height: Of the JPEG, in pixels.
        width: Likewise.
        truth: Its objects.
        found: The detections, the best first.
    """

    name: str
    jpeg: bytes
    height: int
    width: int
    truth: tuple[Truth, ...]
    found: tuple[Detection, ...]


def keep(folder: Path, examples: Sequence[Example]) -> None:
    """Write the files of some examples, in place of those that are there.

    Args:
        folder: That of the run.
        examples: At most `MOST`.

    Raises:
        OSError: As `writing.replace`.
        ValueError: There are more of them, or a number in them is none that `read` takes.
    """
    said = [_said(example) for example in examples]
    for i, example in enumerate(examples, start=1):
        _check_size(example.jpeg)
        writing.replace_below(folder, f"examples/{i}.jpg", example.jpeg)
    content = json.dumps({"examples": said})
    _parsed(json.loads(content))
    writing.replace_below(folder, NAME, content + "\n")


def read(folder: Path) -> list[Example]:
    """The examples of a run; none where there are none.

    Raises:
        InputError: A file is damaged, missing or too large.
    """
    file = folder / NAME
    try:
        if file.exists() and file.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        content = read_json(file)
        if content is None:
            return []
        found = _parsed(content)
        for i, example in enumerate(found, start=1):
            file = folder / "examples" / f"{i}.jpg"
            if file.stat().st_size > MOST_BYTES:
                raise ValueError("too large")
            found[i - 1] = example._replace(jpeg=read_file(file))
    except OSError as error:
        raise _damaged(file, error.strerror or "cannot be read") from None
    except ValueError as error:
        raise _damaged(file, str(error)) from None
    return found


def _damaged(file: Path, how: str) -> InputError:
    return InputError(f"{file}: damaged ({how}); remove the folder {file.parent}: the run is whole without it")


def _check_size(jpeg: bytes) -> None:
    if len(jpeg) > MOST_BYTES:
        raise ValueError(f"a JPEG of {len(jpeg)} bytes: at most {MOST_BYTES}")


def _said(example: Example) -> dict[str, Any]:
    return {
        "name": example.name,
        "height": example.height,
        "width": example.width,
        "truth": [[true.label, _rounded(true.box), bool(true.ignored)] for true in example.truth],
        "found": [[one.label, _rounded(one.box), round(float(one.score), 4)] for one in example.found],
    }


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(float(number), 2) for number in box]


def _parsed(content: dict[str, Any]) -> list[Example]:
    """The examples that a file holds, without their JPEGs.

    Raises:
        ValueError: What is wrong with it.
    """
    examples = content.get("examples")
    return [_example(entry) for entry in _list("examples", examples, MOST)]


def _example(entry: Any) -> Example:
    known = entry if isinstance(entry, dict) else {}
    height, width = (_side(key, known.get(key)) for key in ("height", "width"))
    truth = (_triple("truth", one) for one in _list("truth", known.get("truth"), MOST_BOXES))
    found = (_triple("found", one) for one in _list("found", known.get("found"), MOST_BOXES))
    return Example(
        _name("name", known.get("name")),
        b"",
        height,
        width,
        tuple(Truth(label, box, _flag(ignored)) for label, box, ignored in truth),
        tuple(Detection(label, box, _number("a score", score, 0, 1)) for label, box, score in found),
    )


def _triple(what: str, value: Any) -> tuple[str, Box, Any]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{what} has {shown(value)}")
    label, box, last = value
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"a box is {shown(box)}")
    x1, y1, x2, y2 = (_number("a box", number, -MOST_PIXELS, 2 * MOST_PIXELS) for number in box)
    if x2 < x1 or y2 < y1:
        raise ValueError(f"a box is {shown(box)}")
    return _name("a class", label), (x1, y1, x2, y2), last


def _list(what: str, value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{what} is no list of at most {most}")
    return value


def _name(what: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        raise ValueError(f"{what} is {shown(value)}")
    return value


def _side(what: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_PIXELS:
        raise ValueError(f"{what} is {shown(value)}")
    return value


def _number(what: str, value: Any, low: float, high: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{what} is {shown(value)}")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"ignored is {shown(value)}")
    return value
