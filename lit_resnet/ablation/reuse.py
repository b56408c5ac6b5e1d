"""Grids have nets in common: a run that another grid has finished is not made again, but linked to."""

import os
from contextlib import suppress
from pathlib import Path

from lit_resnet.ablation import status
from lit_resnet.ablation.grid import Cell, Grid
from lit_resnet.errors import InputError
from lit_resnet.runfolder import RunFolder


def finished_elsewhere(grid: Grid, cell: Cell, root: Path) -> RunFolder | None:
    """The finished run of another grid below `root` with this cell's name, seed and config; None if there is none."""
    for other in sorted(root.iterdir()) if root.is_dir() else ():
        run = RunFolder(other / cell.folder)
        if other.name == grid.name or run.path.is_symlink() or not run.cell_file.exists():
            continue
        with suppress(InputError):  # a damaged folder of another grid is for that one to tell of
            if run.summary() and status.says(grid, cell, run):
                return run
    return None


def adopt(grid: Grid, root: Path) -> list[str]:
    """Link the folders of the cells that have none to runs that other grids have finished.

    Returns:
        `<cell's folder>: taken from <grid>` for each.
    """
    taken = []
    for cell in grid.cells:
        folder = status.folder(grid, cell, root).path
        if folder.is_symlink() and not folder.exists():  # that run was moved away since
            folder.unlink()
        if folder.exists() or not (other := finished_elsewhere(grid, cell, root)):
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another launcher is about it too
            folder.symlink_to(os.path.relpath(other.path, folder.parent), target_is_directory=True)
            taken.append(f"{cell.folder}: taken from {other.path.parent.name}")
    return taken
