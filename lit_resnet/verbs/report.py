"""`lit-resnet report`: tables, figures and a page from the finished runs."""

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from lit_resnet.errors import InputError
from lit_resnet.grid.grid import is_grid
from lit_resnet.verbs import options

if TYPE_CHECKING:
    from lit_resnet.grid.asked import Asked
    from lit_resnet.listing import Format


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser)
    parser.add_argument(
        "others",
        metavar="CELL|GRID",
        nargs="*",
        help="some of its cells only; or other grids, to set all side by side on one page",
    )
    options.form(parser)
    parser.add_argument(
        "--from",
        dest="source",
        metavar="wandb:ENTITY/PROJECT",
        help="from Weights & Biases (default: from the run folders)",
    )


def run(args: argparse.Namespace) -> int:
    """Write and print the report."""
    from lit_resnet.listing import spinner

    grids, cells = _meant(options.asked(args), args.others)
    if args.source:
        with spinner("reading from Weights & Biases"):
            from lit_resnet.tracking.restore import restore

            grids = [restore(one, args.source) for one in grids]
    show(grids, cells, form=args.format)
    return 0


def _meant(asked: "Asked", words: list[str]) -> tuple[list["Asked"], list[str]]:
    """The grids and cells that are to be reported: the words after GRID are cells of it, or further grids.

    Raises:
        InputError: A word is neither, or there are both.
    """
    cells, grids = [], [asked]
    for word in words:
        if asked.grid.has(word):
            cells.append(word)
        elif is_grid(word):
            grids.append(replace(asked, name=word))
        else:
            asked.grid.chosen([word])  # which says what is near
    if cells and len(grids) > 1:
        raise InputError(
            f"{cells[0]} is a cell of {asked.grid.name}, {grids[1].name} another grid: give cells or grids"
        )
    return grids, cells


def show(grids: list["Asked"], cells: list[str], form: "Format" = "table") -> None:
    """Write the report of one grid or some of its cells, or of several grids; print its tables and claims.

    Where nothing can be written, as in an archive, it is only printed.

    Raises:
        InputError: No finished run of it, or a damaged run folder.
        OSError: The disk is full.
    """
    from lit_resnet import report
    from lit_resnet.files import FOR_A_WHILE
    from lit_resnet.listing import print_table, spinner
    from lit_resnet.verbs.terminal import MOST_LINES

    with spinner("drawing"):
        made = report.compare(grids) if len(grids) > 1 else report.make(grids[0], cells)
        written = f"the page: {made.page}"
        try:
            made.write()
        except OSError as error:
            if error.errno in FOR_A_WHILE:
                raise
            written = f"no page, as {made.folder} cannot be written ({error.strerror})"
    for reason in made.not_drawn:
        print(f"not drawn: {reason}", file=sys.stderr)
    if form == "table":
        for name, table in made.tables.items():
            print_table(table.terminal(MOST_LINES))
            if len(table.rows) > MOST_LINES:
                print(
                    f"{MOST_LINES} of {len(table.rows)} rows are shown; all of them: {made.folder / name}.csv",
                    file=sys.stderr,
                )
        if made.claims.found:
            print_table(made.claims.terminal())
    else:
        print({"csv": made.table.csv, "json": made.table.json, "md": made.table.markdown}[form](), end="")
    print(f"{made.progress}; {written}", file=sys.stdout if form == "table" else sys.stderr)
