"""Rows of a listing to stdout: a table for people, or CSV, JSON or Markdown for programs and pages."""

import csv
import json
import sys
from collections.abc import Callable
from typing import Any, Literal, get_args

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Format = Literal["table", "csv", "json", "md"]
FORMATS = get_args(Format)
Row = dict[str, Any]
Columns = dict[str, Callable[[Row], str]]  # for each heading, the text that it shows of a row


def show(rows: list[Row], columns: Columns, form: Format, title: str = "") -> None:
    """Print `rows`: all their fields as CSV or JSON, or the readable `columns` as a table or Markdown."""
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, rows[0].keys() if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif form == "json":
        print(json.dumps(rows, indent=1))
    elif form == "md":
        lines = [list(columns), ["---"] * len(columns), *([text(row) for text in columns.values()] for row in rows)]
        print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    else:
        print_table(table(rows, columns, title))


def print_table(made: Table) -> None:
    """Print a table to stdout. In a pipe or a file, which have no width, a row stays one line."""
    Console(width=None if sys.stdout.isatty() else 160).print(made)


def table(rows: list[Row], columns: Columns, title: str = "") -> Table:
    """The readable `columns` as a rich table: names to the left, figures to the right."""
    words = ("net", "cell", "run", "protocol", "state", "note")
    made = Table(title=Text(printable(title)) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in columns:
        made.add_column(heading, justify="left" if heading in words else "right")
    for row in rows:
        made.add_row(*(Text(printable(text(row))) for text in columns.values()))
    return made


def printable(text: str) -> str:
    """The text with control characters written out (`\\x1b`): names and errors may come from strangers."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def numbered(number: int | str, noun: str) -> str:
    """`1 point`, `5 points`, `1.00 points`: a number and what it counts."""
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"


def percent(value: float | None) -> str:
    """`7.93`, or a dash where there is no value."""
    return "–" if value is None else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """`42 s`, `3 min`, `5.2 h` or `2.1 d`; a dash where unknown."""
    if seconds is None:
        return "–"
    for unit, size, limit in (("s", 1, 100), ("min", 60, 100 * 60), ("h", 3600, 100 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.{0 if unit != 'h' else 1}f} {unit}"
    return f"{seconds / 86400:.1f} d"


def memory(size: float | None) -> str:
    """Bytes as `3.7 GiB`; a dash where unknown."""
    return "–" if size is None else f"{size / 2**30:.1f} GiB"


def count(value: float) -> str:
    """`269,722`: a whole number for people."""
    return f"{value:,.0f}"
