"""The tables of a run folder: CSV files that grow by whole lines while a run trains, or are written once at its end."""

import csv
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError, printable
from lit_resnet.files import read_file
from lit_resnet.metrics import FLOAT32
from lit_resnet.runfolder import writing
from lit_resnet.task import Task

Row = dict[str, Any]
Possible = Callable[[float | None], bool]

MOST = 10**15  # of a whole number: no training has so many iterations


@dataclass(frozen=True)
class Record:
    """A table of a run folder, in the file `<name>.csv`: its columns are `keys`, `words` and `values`, in this order.

    The keys grow from row to row. Where one of them is `layer`, the last, each iteration has the same layers, counted
    from 1.

    Args:
        name: Of its file.
        keys: Columns of whole numbers, which say where in the training or the net a row was measured.
        words: Columns of text.
        values: Columns of floats, each with whether it can have a value; a field is empty where nothing was measured,
            and None when read.
        remedy: What to do about a damaged file, `{folder}` being the run's: nothing that costs more than it must.
        digits: Significant digits of a value in the file; None for every bit, so that writing a file again changes
            nothing in it.
        mirrored: Its name in W&B, where a summary has something else by that of its file.
    """

    name: str
    keys: tuple[str, ...]
    values: Mapping[str, Possible]
    remedy: str
    words: tuple[str, ...] = ()
    digits: int | None = None
    mirrored: str = ""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns, in their order."""
        return (*self.keys, *self.words, *self.values)

    def file(self, folder: Path) -> Path:
        """Its file in a run folder."""
        return folder / f"{self.name}.csv"

    def read(self, folder: Path) -> list[Row]:
        """The rows in a run folder, in the order of the file; none where there is no file.

        Raises:
            InputError: The file has a line that is not a row of it, rows that stand twice or in another order, or
                layers that are missing.
        """
        rows: list[Row] = []
        for line, row in self._rows(folder):
            if rows and self._keys(row) <= self._keys(rows[-1]):
                here, before = (", ".join(f"{key} {r[key]}" for key in self.keys) for r in (row, rows[-1]))
                raise InputError(
                    f"{self.file(folder)}, line {line}: {here} stands after {before}: remove the lines that do not grow"
                )
            rows.append(row)
        if "layer" in self.keys:
            groups = [[row["layer"] for row in group] for _, group in groupby(rows, lambda r: self._keys(r)[:-1])]
            if any(layers != list(range(1, len(groups[0]) + 1)) for layers in groups):
                raise self.damaged(folder, "layers are missing")
        return rows

    def whole(self, folder: Path, steps: int) -> list[Row]:
        """The rows of a run that has trained so many iterations to its end; none where there is no file.

        Raises:
            InputError: As `read`; or the last row is of another iteration.
        """
        rows = self.read(folder)
        if rows and rows[-1]["step"] != steps:
            raise self.damaged(folder, f"ends at iteration {rows[-1]['step']:,}, and the run at {steps:,}")
        return rows

    def grown(self, folder: Path) -> list[Row]:
        """The rows from which a run goes on: of those that stand twice, which `read` refuses, the first ones.

        Raises:
            InputError: The file has a line that is not a row of it.
        """
        rows: list[Row] = []
        for _, row in self._rows(folder):
            if not rows or self._keys(row) > self._keys(rows[-1]):
                rows.append(row)
        return rows

    def replace(self, folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file by these rows."""
        writing.replace(self.file(folder), ",".join(self.columns) + "\n" + "".join(map(self._line, rows)))

    def append(self, folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append these rows to the file, as one write."""
        writing.append(self.file(folder), "".join(map(self._line, rows)))

    def damaged(self, folder: Path, how: str, line: int | None = None) -> InputError:
        """The error about a damaged file: how it is damaged, where, and what to do."""
        where = f", line {line}" if line else ""
        return InputError(
            f"{self.file(folder)}{where}: damaged ({how}); {self.remedy.format(folder=shlex.quote(str(folder)))}"
        )

    def lines(self, folder: Path) -> list[str]:
        """The lines of its file in a run folder, as they are, with the head; none where there is no file.

        Raises:
            InputError: The file cannot be read.
        """
        try:
            content = read_file(self.file(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self.damaged(folder, error.strerror or "cannot be read") from None
        content = content[: content.rfind(b"\n") + 1]  # a line still being written is not there yet
        try:
            return content.decode().splitlines()
        except UnicodeDecodeError as error:
            raise self.damaged(folder, "not UTF-8", content.count(b"\n", 0, error.start) + 1) from None

    def _rows(self, folder: Path) -> Iterator[tuple[int, Row]]:
        """The rows, with the numbers of their lines."""
        lines = csv.reader(self.lines(folder))
        keys = len(self.keys)
        words = keys + len(self.words)
        possible = tuple(self.values.values())
        try:
            head, columns = next(lines, None), self.columns
            if head is not None and tuple(head) != columns:
                raise self.damaged(folder, f"not {','.join(columns)}", 1)
            for line in lines:
                if line:  # a report of two thousand runs reads a third of a million
                    values = [float(field) if field else None for field in line[words:]]
                    found = (*map(_whole, line[:keys]), *line[keys:words], *values)
                    if not all(may(value) for may, value in zip(possible, values, strict=True)):
                        raise ValueError
                    yield lines.line_num, dict(zip(columns, found, strict=True))
        except (ValueError, csv.Error):
            raise self.damaged(folder, "not a row", lines.line_num) from None

    def _keys(self, row: Row) -> tuple[int, ...]:
        return tuple(row[key] for key in self.keys)

    def _line(self, row: Mapping[str, Any]) -> str:
        said = [*(str(row[column]) for column in self.keys), *(_word(row[column]) for column in self.words)]
        return ",".join([*said, *(self._text(row.get(column)) for column in self.values)]) + "\n"

    def _text(self, value: float | None) -> str:
        return "" if value is None else repr(value) if self.digits is None else f"{value:.{self.digits}g}"


@cache
def metrics(task: Task) -> Record:
    """What the runs of a task measure while they train: a row for each logged step."""
    return Record(
        "metrics",
        keys=("step",),
        values={metric.name: metric.possible for metric in task.metrics},
        remedy="put a copy of it back, or remove a line that is no row: only another training measures it again",
    )


def _size(value: float | None) -> bool:
    """Whether it can be a variance, a deviation or a norm; those of a net that diverged are no numbers."""
    return value is not None and (0 <= value <= FLOAT32 or not math.isfinite(value))


def _share(value: float | None) -> bool:
    return value is not None and 0 <= value <= 1


def _opening(value: float | None) -> bool:
    """Whether it can be the mean of a gate; those of a net that diverged are no numbers."""
    return _share(value) or (value is not None and not math.isfinite(value))


# Layers count from 1. Std of each layer's response (Fig. 7).
RESPONSES = Record(
    "responses",
    keys=("layer",),
    words=("name",),
    values={"std": _size},
    digits=9,
    remedy="remove it, and measure them again: lit-resnet responses {folder}",
)
# Variance of each layer's response and norm of its gradient at sampled steps (Sec. 4.1).
SIGNALS = Record(
    "signals",
    keys=("step", "layer"),
    words=("name",),
    values={"variance": _size, "gradient": _size},
    digits=9,
    remedy="put a copy of it back, or remove it: the run is whole without it, and only another training measures it",
)
# How far the gate of each block is open at logged steps, of nets that have gates (see `probes.gates`).
GATES = Record(
    "gates",
    keys=("step", "layer"),
    words=("name",),
    values={"opening": _opening},
    digits=6,
    remedy="put a copy of it back, or remove it: the run is whole without it, and only another training measures it",
)
# Of a detector's classes, from 0, with their names: precision at each point of recall (see `precision.py`).
PRECISION = Record(
    "precision",
    keys=("class", "point"),
    words=("name",),
    values={"recall": _share, "precision": _share},
    digits=9,
    mirrored="precision_over_recall",
    remedy="remove it: the run is whole without it",
)
# What probes leave in a run folder, besides its metrics.
ANALYSES = (RESPONSES, SIGNALS, GATES, PRECISION)


def _word(text: str) -> str:
    """A text as a field of a line; control characters, some of which end a line, are written out."""
    text = printable(text)
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def _whole(field: str) -> int:
    value = int(field)
    if not 0 <= value <= MOST:
        raise ValueError(field)
    return value
