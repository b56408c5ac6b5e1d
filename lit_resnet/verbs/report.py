"""`lit-resnet report`: tables, figures and a page from the finished runs."""

import argparse
import sys
from typing import TYPE_CHECKING

from lit_resnet.verbs import options

if TYPE_CHECKING:
    from lit_resnet.grid.asked import Asked
    from lit_resnet.listing import Format


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser)
    options.form(parser)
    parser.add_argument(
        "--from",
        dest="source",
        metavar="wandb:ENTITY/PROJECT",
        help="from Weights & Biases (default: from the run folders)",
    )


def run(args: argparse.Namespace) -> int:
    """Write and print the report."""
    from lit_resnet.verbs.terminal import spinner

    asked = options.asked(args)
    if args.source:
        with spinner("reading from Weights & Biases"):
            from lit_resnet.tracking.restore import restore

            asked = restore(asked, args.source)
    show(asked, args.format)
    return 0


def show(asked: "Asked", form: "Format" = "table") -> None:
    """Write the report of a grid, and print its tables and claims, or one table for programs.

    Raises:
        InputError: No finished run of it, or a damaged run folder.
    """
    from lit_resnet import report
    from lit_resnet.listing import print_table
    from lit_resnet.verbs.terminal import MOST_LINES, spinner

    with spinner("drawing"):
        made = report.write(asked)
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
    print(f"{made.progress}; the page: {made.page}", file=sys.stdout if form == "table" else sys.stderr)
