"""Options that several verbs share, and what they say together."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.errors import InputError
from lit_resnet.listing import FORMATS

if TYPE_CHECKING:
    from lit_resnet.grid.asked import Asked


def of_grid(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """GRID, --root, --set and --seeds: see `asked`."""
    if optional:
        parser.add_argument(
            "grid", metavar="GRID", nargs="?", help="path or shipped name (default: every run below --root)"
        )
    else:
        parser.add_argument("grid", metavar="GRID", help="path or shipped name")
    parser.add_argument("--root", type=Path, default=Path("runs"), help="where run folders live (default: runs)")
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
    """CELL..., after GRID."""
    parser.add_argument(
        "cells",
        metavar="CELL",
        nargs=nargs,
        help=f"a cell with all its seeds, or a run folder; * and ? match as in a shell{default}",
    )


def form(parser: argparse.ArgumentParser, *more: str) -> None:
    """--format."""
    parser.add_argument("--format", choices=(*FORMATS, *more), default="table", help="how to print it (default: table)")


def asked(args: argparse.Namespace) -> "Asked":
    """The grid that the options of `of_grid` mean.

    Raises:
        InputError: The root is a file.
    """
    from lit_resnet.grid.asked import Asked

    return Asked(args.grid, tuple(args.set), root(args), tuple(args.seeds))


def root(args: argparse.Namespace) -> Path:
    """Where run folders live.

    Raises:
        InputError: It is a file.
    """
    if args.root.exists() and not args.root.is_dir():
        raise InputError(f"--root {args.root}: is a file; give a folder")
    return args.root
