"""precision.csv: the precision of a detector over recall, of each class; boxes of an IoU of 0.5 or more are right.

A class has `POINTS` rows, at recalls of 0, 0.01, ..., 1. The precision is the highest at that recall or a greater one,
as PASCAL VOC and COCO average it, and 0 where such a recall is never reached.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from lit_resnet.runfolder.records import PRECISION

POINTS = 101
RECALLS = tuple(point / (POINTS - 1) for point in range(POINTS))


def keep(folder: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Write the file.

    Args:
        folder: That of the run.
        curves: For each class that has objects, in the order of the labels, its `POINTS` precisions, from 0 to 1.

    Raises:
        OSError: As `writing.replace`.
    """
    rows = [
        {"class": label, "point": point, "name": name, "recall": recall, "precision": float(precision)}
        for label, (name, precisions) in enumerate(curves.items())
        for point, (recall, precision) in enumerate(zip(RECALLS, precisions, strict=True))
    ]
    PRECISION.replace(folder, rows)


def read(folder: Path) -> dict[str, list[float]]:
    """The precisions of each class, by its name; empty where there is no file.

    Raises:
        InputError: The file is damaged.
    """
    found: dict[str, list[float]] = {}
    for label, group in groupby(PRECISION.read(folder), lambda row: row["class"]):
        rows = list(group)
        name = rows[0]["name"]
        if any((row["name"], row["point"]) != (name, point) for point, row in enumerate(rows)) or len(rows) != POINTS:
            raise PRECISION.damaged(folder, f"class {label} has not the points 0 to {POINTS - 1}")
        if name in found or any(abs(row["recall"] - r) > 1e-6 for row, r in zip(rows, RECALLS, strict=True)):
            raise PRECISION.damaged(folder, f"class {label} stands twice, or has other recalls than 0, 0.01, ..., 1")
        found[name] = [row["precision"] for row in rows]
    return found
