"""Runs that grids have in common: where another grid has finished a run, a link to it takes the place of training."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.runfolder.folder import RunFolder


def finished_elsewhere(grid: Grid, cells: Iterable[Cell], root: Path) -> dict[str, RunFolder]:
    """Finished runs of other grids below `root` with the name, seed and config of these cells, by their folders."""
    wanted = {cell.folder: cell for cell in cells}
    found: dict[str, RunFolder] = {}
    for other in sorted(root.iterdir()) if wanted and root.is_dir() else ():
        if other.name == grid.name or not other.is_dir():
            continue
        for name in (wanted.keys() - found.keys()).intersection(os.listdir(other)):
            run = RunFolder(other / name)
            if run.path.is_symlink() or not run.cell_file.exists():
                continue
            with suppress(InputError):  # a damaged folder is reported where its own grid is launched
                if run.summary() and not status.differs(grid, wanted[name], run):
                    found[name] = run
    return found


def adopt(grid: Grid, root: Path) -> list[str]:
    """Link the folders of the cells that have none to runs that other grids have finished.

    Returns:
        A line for each, and for each link to a run that has been moved away since.
    """
    missing, taken = {}, []
    for cell in grid.cells:
        run = status.folder(grid, cell, root)
        if lost := run.lost:
            run.path.unlink()
            taken.append(f"{run.path.name}: was taken from {lost.parent.name}, where it is no more")
        if not run.path.exists():
            missing[run.path] = cell
    elsewhere = finished_elsewhere(grid, missing.values(), root)
    for folder in missing:
        if not (other := elsewhere.get(folder.name)):
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another launcher has made the link meanwhile
            folder.symlink_to(os.path.relpath(other.path, folder.parent), target_is_directory=True)
            taken.append(f"{folder.name}: taken from {other.path.parent.name}")
    return taken
