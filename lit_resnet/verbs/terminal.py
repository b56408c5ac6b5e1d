"""Output of several verbs to a terminal: a part of a very long table."""

import sys
from collections.abc import Sequence

from lit_resnet.listing import Columns, Format, Row, show

MOST_LINES = 100  # of a table that a person reads


def show_some(
    rows: list[Row], some: list[Row], columns: Columns, form: Format, title: str, expendable: Sequence[str]
) -> None:
    """Print all rows in the formats for programs, but only `some` of them as a table."""
    show(some if form == "table" else rows, columns, form, title, expendable)
    if form == "table" and len(some) < len(rows):
        print(f"{len(some)} of {len(rows)} runs are shown; all of them: --format csv", file=sys.stderr)
