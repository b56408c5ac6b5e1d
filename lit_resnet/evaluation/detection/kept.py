"""detections/: all that a detector finds in its test images, so that a metric never needs the net again.

`detections/<search>.npy` is float32 [n, 7]: number of the image, label, score, box (x1, y1, x2, y2). The JSON beside it
says what they depend on: checkpoint, images and how the net was asked.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lit_resnet.data.boxes import Found
from lit_resnet.errors import InputError
from lit_resnet.files import read_file, read_json
from lit_resnet.runfolder import arrays, writing

FOLDER, DTYPE = "detections", "<f4"
MOST_BYTES = 2**31  # of a file: 76 million detections
MOST_IMAGES = 2**24  # of which 32-bit floats know each number
NOTHING = -1  # the image of the one row of a detector that finds nothing


def keep(folder: Path, search: str, origin: dict[str, Any], found: Sequence[Found]) -> None:
    """Write both files of a search.

    Args:
        folder: That of the run.
        search: Its name.
        origin: What the detections depend on.
        found: What was found in each test image, at most `MOST_IMAGES`.

    Raises:
        OSError: As `writing.replace`.
    """
    rows = [
        np.column_stack([np.full(len(one.labels), i), one.labels, one.scores, one.boxes]) for i, one in enumerate(found)
    ]
    table = np.concatenate([*rows, np.empty((0, 7))])
    table = table if len(table) else np.full((1, 7), NOTHING)
    # The JSON goes first, and comes last: detections are always those of the JSON beside them.
    (folder / FOLDER / f"{search}.json").unlink(missing_ok=True)
    writing.replace_below(folder, f"{FOLDER}/{search}.npy", arrays.content(table, DTYPE))
    writing.replace_below(folder, f"{FOLDER}/{search}.json", json.dumps(origin, indent=1) + "\n")


def checkpoint(folder: Path, search: str) -> str | None:
    """SHA-256 of the checkpoint whose detections are kept; None where there are none, or a damaged file."""
    try:
        found = (read_json(folder / FOLDER / f"{search}.json") or {}).get("checkpoint")
    except InputError:
        return None
    return found if isinstance(found, str) else None


def read(folder: Path, search: str, origin: dict[str, Any], images: int, classes: int) -> list[Found] | None:
    """What was found in each of so many images; None where that is missing, damaged, or of another origin."""
    path = folder / FOLDER / f"{search}.npy"
    try:
        if read_json(path.with_suffix(".json")) != origin or path.stat().st_size > MOST_BYTES:
            return None
        table = arrays.parsed(read_file(path), DTYPE, 7)
    except (OSError, ValueError, InputError):
        return None
    table = table[:0] if len(table) == 1 and table[0, 0] == NOTHING else table
    numbers, labels, scores = table[:, 0], table[:, 1], table[:, 2]
    whole = (numbers == numbers.round()) & (labels == labels.round())
    within = (numbers >= 0) & (numbers < images) & (labels >= 0) & (labels < classes) & (scores >= 0) & (scores <= 1)
    if not (np.isfinite(table).all() and whole.all() and within.all() and (np.diff(numbers) >= 0).all()):
        return None
    ends = np.searchsorted(numbers, np.arange(1, images))
    return [
        Found(part[:, 3:], part[:, 1].astype(np.int64), part[:, 2])
        for part in (np.split(table, ends) if images else [])
    ]
