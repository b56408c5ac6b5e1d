"""Options that several verbs share, and the grid and root that they give."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.errors import InputError
from lit_resnet.listing import FORMATS

if TYPE_CHECKING:
    from lit_resnet.grid.asked import Asked


def of_grid(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add GRID, --root, --set and --seeds, which `asked` reads."""
    if optional:
        parser.add_argument(
            "grid", metavar="GRID", nargs="?", help="path or shipped name (default: every run below --root)"
        )
    else:
        parser.add_argument("grid", metavar="GRID", help="path or shipped name")
    parser.add_argument("--root", type=Path, default=Path("runs"), help="where the run folders are (default: runs)")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a config key for all cells, such as data.root=/data/cifar10; give it to every verb alike",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        metavar="N",
        default=[],
        help="other seeds than the grid file's, for all cells; give them to every verb alike",
    )


def cells(parser: argparse.ArgumentParser, nargs: str, default: str) -> None:
    """Add CELL..., to follow GRID; `default` is what the help says of none."""
    parser.add_argument(
        "cells",
        metavar="CELL",
        nargs=nargs,
        help=f"a cell with all its seeds, or a run folder; * and ? match as in a shell{default}",
    )


def form(parser: argparse.ArgumentParser, *more: str) -> None:
    """Add --format; `more` are formats of this verb alone."""
    parser.add_argument("--format", choices=(*FORMATS, *more), default="table", help="how to print it (default: table)")


def asked(args: argparse.Namespace) -> "Asked":
    """The grid that the options of `of_grid` ask for.

    Raises:
        InputError: The root is a file.
    """
    from lit_resnet.grid.asked import Asked

    return Asked(args.grid, tuple(args.set), root(args), tuple(args.seeds))


def root(args: argparse.Namespace) -> Path:
    """Where the run folders are.

    Raises:
        InputError: It is a file.
    """
    if args.root.exists() and not args.root.is_dir():
        raise InputError(f"--root {args.root}: is a file; give a folder")
    return args.root
