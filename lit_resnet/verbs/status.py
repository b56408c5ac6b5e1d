"""`lit-resnet status`: how far the runs are."""

import argparse

from lit_resnet.errors import InputError
from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser, optional=True)
    options.cells(parser)
    options.form(parser)
    parser.add_argument("--watch", action="store_true", help="keep showing them, updated every second")


def run(args: argparse.Namespace) -> int:
    """Show the runs once, or with --watch until all have ended."""
    from lit_resnet.grid import status
    from lit_resnet.launch.watch import look, watch
    from lit_resnet.verbs.terminal import MOST_LINES, show_some

    root, grid = options.root(args), options.asked(args).grid.part(args.cells) if args.grid else None
    if args.watch:
        watch(root, grid)
        return 0
    found = look(root, grid)
    if args.format == "table" and not found:
        raise InputError(f"{root}: no runs here; start some with: lit-resnet launch quickstart")
    title = f"{grid.name if grid else root}: {status.overview(found)}"
    some = status.foremost(found, MOST_LINES)
    varied = status.varied(grid, root) if grid else {}
    columns, expendable = status.columns(found, varied), status.expendable(found, varied)
    show_some(found, some, columns, args.format, title, expendable)
    return 0
