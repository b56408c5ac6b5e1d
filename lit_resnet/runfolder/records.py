"""The tables of a run folder: CSV files that grow by whole lines while a run trains, or are written once at its end."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.files import append_whole, write_whole
from lit_resnet.task import Task

Row = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A table of a run folder, in the file `<name>.csv`: its columns are `keys`, `words` and `values`, in this order.

    Args:
        name: Of its file.
        keys: Columns of whole numbers, which say where in the training or the net a row was measured.
        words: Columns of text.
        values: Columns of floats; a field is empty where nothing was measured, and None when read.
        digits: Significant digits of a value in the file; None for every bit, so that writing a file again changes
            nothing in it.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    words: tuple[str, ...] = ()
    digits: int | None = None

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
            InputError: The file has a line that is not a row of it.
        """
        file = self.file(folder)
        lines = csv.reader(self.lines(folder))
        head, columns = next(lines, None), self.columns
        if head is not None and tuple(head) != columns:
            raise _damaged(file, ", line 1")
        keys = len(self.keys)
        words = keys + len(self.words)
        rows = []
        try:
            for line in lines:
                if line:  # a report of two thousand runs reads a third of a million
                    values = [float(field) if field else None for field in line[words:]]
                    rows.append(dict(zip(columns, (*map(int, line[:keys]), *line[keys:words], *values), strict=True)))
        except (ValueError, csv.Error):
            raise _damaged(file, f", line {lines.line_num}") from None
        return rows

    def lines(self, folder: Path) -> list[str]:
        """The lines of its file in a run folder, as they are, with the head; none where there is no file.

        Raises:
            InputError: The file cannot be read.
        """
        file = self.file(folder)
        try:
            text = file.read_text()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError):
            raise _damaged(file) from None
        return text[: text.rfind("\n") + 1].splitlines()  # a line still being written is not there yet

    def replace(self, folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file by these rows."""
        write_whole(self.file(folder), ",".join(self.columns) + "\n" + "".join(map(self._line, rows)))

    def append(self, folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append these rows to the file, as one write."""
        append_whole(self.file(folder), "".join(map(self._line, rows)))

    def _line(self, row: Mapping[str, Any]) -> str:
        said = [str(row[column]) for column in (*self.keys, *self.words)]
        return ",".join([*said, *(self._text(row.get(column)) for column in self.values)]) + "\n"

    def _text(self, value: float | None) -> str:
        return "" if value is None else repr(value) if self.digits is None else f"{value:.{self.digits}g}"


@cache
def metrics(task: Task) -> Record:
    """What the runs of a task measure while they train: a row for each logged step."""
    return Record("metrics", keys=("step",), values=tuple(metric.name for metric in task.metrics))


# Layers count from 1. Std of each layer's response (Fig. 7).
RESPONSES = Record("responses", keys=("layer",), words=("name",), values=("std",), digits=9)
# Variance of each layer's response and norm of its gradient at sampled steps (Sec. 4.1).
SIGNALS = Record("signals", keys=("step", "layer"), words=("name",), values=("variance", "gradient"), digits=9)
# What probes leave in a run folder, besides its metrics.
ANALYSES = (RESPONSES, SIGNALS)


def _damaged(file: Path, where: str = "") -> InputError:
    return InputError(f"{file}{where}: damaged; move {file.parent} away and launch again")
