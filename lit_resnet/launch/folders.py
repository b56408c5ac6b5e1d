"""The run folders of a grid before a launch: none may be damaged, or have a run of another config."""

import os
from pathlib import Path

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid
from lit_resnet.launch import starts
from lit_resnet.runfolder.records import metrics


def check_folders(grid: Grid, root: Path) -> None:
    """Refuse damaged files, runs with another config, and weights to start from that are missing, before any training.

    Raises:
        InputError: The first one.
    """
    record = metrics(grid.task)
    for cell in grid.cells:
        folder = status.folder(grid, cell, root)
        folder.status()
        if finished := folder.summary():
            record.whole(folder.path, finished.steps)
        else:
            record.grown(folder.path)
        status.check_config(grid, cell, folder)
    starts.check(grid, root)


def begin(grid: Grid, root: Path) -> None:
    """Make the grid's folder, and withdraw the requests to stop that an earlier `cancel` left with its runs.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        (root / grid.name).mkdir(parents=True, exist_ok=True)
        for cell in grid.cells:
            status.folder(grid, cell, root).allow()
    except OSError as error:
        raise InputError(f"--root {root}: cannot be written ({error.strerror}); give another one") from None
    if not os.access(root / grid.name, os.W_OK | os.X_OK):
        raise InputError(f"--root {root}: {root / grid.name} cannot be written; give another one")
