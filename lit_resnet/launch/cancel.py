"""Stopping a grid or some of its cells, wherever they run: each saves where it is, and the next launch goes on."""

from pathlib import Path

from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.grid import status
from lit_resnet.grid.grid import Cell, Grid
from lit_resnet.launch import jobs


def cancel(grid: Grid, names: list[str], root: Path) -> list[str]:
    """Ask the runs of some cells to stop, and take out of Slurm's queue the tasks that have nothing else to do.

    Args:
        grid: The grid.
        names: Cells, with all their seeds, or run folders; empty for the whole grid.
        root: Where its run folders are.

    Returns:
        The run folders that were not finished: those that are asked now.

    Raises:
        InputError: No such cell, the folders cannot be written, or Slurm refuses.
    """
    chosen = [cell for cell in _chosen(grid, names) if not status.folder(grid, cell, root).summary()]
    asked = {cell.folder for cell in chosen}
    try:
        for cell in chosen:
            folder = status.folder(grid, cell, root)
            if folder.path.is_dir():  # else it was never launched
                folder.ask_to_stop()
    except OSError as error:
        raise InputError(f"{root / grid.name}: cannot be written ({error.strerror}); nothing was cancelled") from None
    queued = jobs.queue_of(grid.name, root)
    finished = {cell.folder for cell in grid.cells if status.folder(grid, cell, root).summary()}
    busy = {job.id for folder, job in queued.items() if folder not in asked | finished}  # tasks that others share
    jobs.scancel(sorted({queued[folder].id for folder in asked & queued.keys()} - busy))
    return [cell.folder for cell in chosen]


def _chosen(grid: Grid, names: list[str]) -> list[Cell]:
    known = {name for cell in grid.cells for name in (cell.name, cell.folder)}
    for name in names:
        if name not in known:
            raise InputError(f"{name}: no cell of {grid.name}{did_you_mean(name, known)}")
    return [cell for cell in grid.cells if not names or cell.name in names or cell.folder in names]
