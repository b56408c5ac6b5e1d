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
from lit_resnet.runfolder.start import weights_digest
from lit_resnet.runfolder.summary import Summary


def finished_elsewhere(grid: Grid, cells: Iterable[Cell], root: Path) -> dict[str, RunFolder]:
    """Finished runs of other grids below `root` with the name, seed and config of these cells, by their folders.

    Runs that were tested on other images than those of this grid's own runs, or than one found before, are left out:
    two folders of images may have one name.
    """
    wanted = {cell.folder: cell for cell in cells}
    found: dict[str, RunFolder] = {}
    tested = _tested(status.folder(grid, cell, root) for cell in grid.cells if cell.folder not in wanted)
    for other in sorted(root.iterdir()) if wanted and root.is_dir() else ():
        if other.name == grid.name or not os.path.isdir(other):
            continue
        try:
            there = os.listdir(other)
        except OSError:  # somebody else's folder, or the file system's own lost+found
            continue
        for name in sorted((wanted.keys() - found.keys()).intersection(there)):
            run = RunFolder(other / name)
            if run.path.is_symlink() or not run.cell_file.exists():
                continue
            with suppress(InputError, OSError):  # a damaged folder is reported where its own grid is launched
                status.check_config(grid, wanted[name], run)
                summary = run.summary()
                if summary and _same_start(grid, wanted[name], summary):
                    images = tested.setdefault(summary.data, summary.test_images)
                    if images in (None, summary.test_images):
                        found[name] = run
    return found


def _same_start(grid: Grid, cell: Cell, summary: Summary) -> bool:
    """Whether a run started from the very weights that the cell names now; they may have been trained again since.

    Raises:
        InputError: There are none now.
    """
    path = grid.start_path(cell)
    return path is None or (summary.start is not None and weights_digest(path) == summary.start.digest)


def _tested(runs: Iterable[RunFolder]) -> dict[str, str | None]:
    """By the name of a data set the digest of the images that the first of these runs, if finished, was tested on."""
    found: dict[str, str | None] = {}
    for run in runs:
        with suppress(InputError):
            if summary := run.summary():
                found.setdefault(summary.data, summary.test_images)
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
