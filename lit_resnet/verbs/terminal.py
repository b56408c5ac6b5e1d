"""What several verbs show to people: that something takes a while, and the first of very many rows."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.status import Status

from lit_resnet.listing import Columns, Format, Row, show

MOST_LINES = 100  # of a table that a person reads


def spinner(text: str) -> Status:
    """On stderr while something takes a while."""
    return Console(stderr=True).status(text)


def show_some(
    rows: list[Row], some: list[Row], columns: Columns, form: Format, title: str, expendable: Sequence[str]
) -> None:
    """All rows for programs; for people, of very many only some."""
    show(some if form == "table" else rows, columns, form, title, expendable)
    if form == "table" and len(some) < len(rows):
        print(f"{len(some)} of {len(rows)} runs are shown; all of them: --format csv", file=sys.stderr)
