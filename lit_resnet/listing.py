"""Rows of a listing to stdout: a table for people, or CSV, JSON or Markdown for programs and pages; and a spinner."""

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from lit_resnet.errors import printable

Format = Literal["table", "csv", "json", "md"]
FORMATS = get_args(Format)
Row = dict[str, Any]
NOTEBOOK = "JPY_PARENT_PID"  # which Jupyter sets in its kernels
Columns = dict[str, Callable[[Row], str]]  # for each heading, the text that it shows of a row


PIPE_WIDTH = 160  # of a table in a pipe or a file, where a row stays one line
# Headings to the left.
WORDS = ("net", "trained on", "starts from", "cell", "run", "protocol", "state", "note", "image", "class", "block")
NOTE, NOTE_WIDTH = "note", 12  # a column that wraps, and how narrow it may become


def show(rows: list[Row], columns: Columns, form: Format, title: str = "", expendable: Sequence[str] = ()) -> None:
    """Print `rows`: all their fields as CSV or JSON, or the readable `columns` as a table or Markdown.

    In a narrow terminal a table goes without the `expendable` columns (headings), the first ones first.
    """
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, rows[0].keys() if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif form == "json":
        print(json_text(rows))
    elif form == "md":
        cells = [[printable(text(row)).replace("|", r"\|") for text in columns.values()] for row in rows]
        lines = [list(columns), ["---"] * len(columns), *cells]
        print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    else:
        console = _console()
        console.print(table(rows, columns, title, expendable, console.width))


def json_text(rows: Sequence[Row]) -> str:
    """Rows as JSON, which has no infinite numbers and none that are no numbers: they are null."""
    finite = [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in rows
    ]
    return json.dumps(finite, indent=1, allow_nan=False)


def plainly(console: Console) -> Callable[[str], None]:
    """Prints texts to a console as they are: brackets in them are no markup, and lines are not broken."""
    return partial(console.print, markup=False, highlight=False, soft_wrap=True)


def print_table(made: Table) -> None:
    """Print a table to stdout. In a pipe or a file, which have no width, a row stays one line."""
    _console().print(made)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def redraws(console: Console) -> bool:
    """Whether it can show a table or a bar that changes in its place; else lines have to tell of the progress.

    A cell of a notebook cannot, though `!lit-resnet` in it writes to a terminal: each frame would stay there.
    """
    return console.is_terminal and not console.is_dumb_terminal and NOTEBOOK not in os.environ


def passing_bar(*columns: str | ProgressColumn) -> Progress:
    """A bar on stderr that is gone when all is done; nothing where it cannot be drawn again and again."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not redraws(console))


def spinner(text: str) -> Status:
    """A spinner beside a text, on stderr, for the length of a `with` block; nothing where it cannot turn."""
    return Console(stderr=True, quiet=not redraws(Console(stderr=True))).status(text)


def table(
    rows: list[Row], columns: Columns, title: str = "", expendable: Sequence[str] = (), width: int = PIPE_WIDTH
) -> Table:
    """The readable `columns` as a rich table: names to the left, figures to the right.

    Without as many of the `expendable` columns (headings), the first ones first, as there is no room for in `width`.
    """
    texts = {heading: [printable(text(row)) for row in rows] for heading, text in columns.items()}
    widths = {heading: max(map(cell_len, [heading, *texts[heading]])) for heading in texts}
    if NOTE in widths:
        widths[NOTE] = min(widths[NOTE], NOTE_WIDTH)

    def fits() -> bool:
        return sum(widths.values()) + 3 * len(widths) + 1 <= width  # padding, and lines between columns

    empty = () if any(texts.get(NOTE, ())) else (NOTE,)
    for heading in (*empty, *expendable):
        if not fits():
            widths.pop(heading, None)
    made = Table(title=Text(printable(title)) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    # Where nothing else helps, names in the first column are folded; they are never cut.
    folded = {NOTE} if fits() else {NOTE, next(iter(widths), "")}
    for heading in widths:
        side = "left" if heading in WORDS else "right"
        made.add_column(heading, justify=side, no_wrap=heading not in folded, overflow="fold")
    for row in zip(*(texts[heading] for heading in widths), strict=True):
        made.add_row(*map(Text, row))
    return made


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
