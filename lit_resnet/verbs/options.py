"""Options that several verbs share, and the grid and root that they give."""

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.errors import InputError, shown
from lit_resnet.listing import FORMATS

if TYPE_CHECKING:
    from lit_resnet.grid.asked import Asked

MOST_SEEDS = 1000  # of a range


def of_grid(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add GRID, --root, --set and --seeds, which `asked` reads."""
    if optional:
        parser.add_argument(
            "grid", metavar="GRID", nargs="?", help="path or shipped name (default: every run below --root)"
        )
    else:
        parser.add_argument("grid", metavar="GRID", help="path or shipped name")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", default=Path("runs"), help="where the run folders are (default: runs)"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a config key for all cells, such as data.root=/data/cifar10; give it to every verb alike",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        metavar="N",
        default=[],
        help="other seeds than the grid file's, for all cells: 0 1 2, or 0-4; give them to every verb alike",
    )


def cells(parser: argparse.ArgumentParser, nargs: str = "*", default: str = " (default: all)") -> None:
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


def net(parser: argparse.ArgumentParser) -> None:
    """NET."""
    parser.add_argument(
        "net",
        type=Path,
        metavar="NET",
        help="the folder of a finished run, a .safetensors file, or a name that lit-resnet zoo lists",
    )


def own_code(parser: argparse.ArgumentParser) -> None:
    """--import."""
    parser.add_argument(
        "--import",
        dest="modules",
        metavar="MODULE",
        action="append",
        default=[],
        help="a module of your own with the run's net or data, which no command imports because a folder names it",
    )


def import_own(args: argparse.Namespace) -> None:
    """Import what `--import` names.

    Raises:
        InputError: It cannot be imported.
    """
    from lit_resnet import own_code

    own_code.name(args.modules)


def asked(args: argparse.Namespace) -> "Asked":
    """The grid that the options of `of_grid` ask for.

    Raises:
        InputError: The root is a file, or a seed is no number.
    """
    from lit_resnet.grid.asked import Asked

    return Asked(args.grid, tuple(args.set), root(args), tuple(_seeds(args.seeds)))


def _seeds(words: list[str]) -> Iterator[int]:
    """The seeds that words such as `3` and `0-4` stand for.

    Raises:
        InputError: A word is no number and no range, or a range of more than `MOST_SEEDS`.
    """
    for word in words:
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", word, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found and len(word) < 22 else (1, 0)
        if not 0 <= last - first < MOST_SEEDS:
            raise InputError(f"--seeds {word}: write whole numbers or ranges of them, such as 0 1 2 or 0-4")
        yield from range(first, last + 1)


def root(args: argparse.Namespace) -> Path:
    """Where the run folders are.

    Raises:
        InputError: It is a file, or has letters that no folder can have.
    """
    try:
        os.fsencode(args.root)
    except UnicodeEncodeError:
        raise InputError(f"--root {shown(str(args.root))}: no folder can have this name; give another one") from None
    if args.root.exists() and not args.root.is_dir():
        raise InputError(f"--root {args.root}: is a file; give a folder")
    return args.root
