"""Weights of other runs that the cells of a grid start from: which of them are not there yet, and what makes them."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.grid.start import StartCell


def check(grid: Grid, root: Path) -> None:
    """Refuse to train cells whose weights to start from are not there; cells that have begun need them no more.

    Raises:
        InputError: Which, why, and the commands that make them.
    """
    if words := missing(grid, (cell for cell in grid.cells if not status.folder(grid, cell, root).begun())):
        raise InputError(f"{grid.name}: {words}")


def missing(grid: Grid, cells: Iterable[Cell]) -> str:
    """What these cells need to start from and is not there, and the commands that make it; empty if all is there.

    Args:
        grid: The grid.
        cells: Some of its cells, which have not begun.
    """
    lacking: dict[str | None, str] = {}  # by what is missing: why
    needed: dict[StartCell, set[int]] = {}
    lacks = cache(status.lacks_start)  # many cells start from one run
    for cell in cells:
        if not (why := lacks(grid.start_path(cell))):
            continue
        lacking[grid.start_name(cell)] = why
        if isinstance(start := grid.start(cell), StartCell):
            needed.setdefault(start, set()).add(start.seed(cell.seed))
    if not lacking:
        return ""
    named = ", ".join(f"{name}: {why}" for name, why in lacking.items())
    first = " && ".join(_commands(needed, grid.root)) or "write another path for model.start"
    return f"starts from {named}; first: {first}"


def _commands(needed: dict[StartCell, set[int]], root: Path) -> list[str]:
    """The command for each grid that launches what is needed of it: all seeds of a cell, or some of its run folders."""
    words: dict[str, list[str]] = {}
    for start, seeds in needed.items():
        folders = [start.folder(root, seed).name for seed in sorted(seeds)]
        words.setdefault(start.grid, []).extend([start.cell] if seeds == set(start.seeds) else folders)
    return [Asked(name, root=root).command("launch", *cells) for name, cells in words.items()]
