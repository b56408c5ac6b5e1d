"""The state of runs, from their folders and the queues of launchers; once, or watched until they have ended."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.live import Live

from lit_resnet.files import FOR_A_WHILE
from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid
from lit_resnet.launch.launcher import queue
from lit_resnet.listing import Row

ENDED = ("done", "failed", "cancelled")
LOOK_SECONDS, QUEUE_SECONDS = 1.0, 5.0  # between two looks; longer where each asks the queue of a cluster


def look(root: Path, grid: Grid | None) -> list[Row]:
    """A row for each cell of the grid, or for each run folder below `root`.

    Raises:
        InputError: A run folder is damaged, or a queue cannot be asked.
    """
    if grid:
        queued = {folder: job for (_, folder), job in queue(root, [grid.name]).items()}
        return status.rows(grid, root, queued)
    grids = [path.name for path in root.iterdir()] if root.is_dir() else []
    return status.runs_below(root, queue(root, grids))


def watch(root: Path, grid: Grid | None, over: Callable[[], bool] = lambda: False) -> list[Row]:
    """Show the runs, refreshed, until all have ended or `over` says that none can go on; returns their last rows.

    Raises:
        InputError: As `look`.
    """
    with Live(auto_refresh=False) as live:
        while True:
            try:
                found = look(root, grid)
            except OSError as error:
                if error.errno not in FOR_A_WHILE:
                    raise
                time.sleep(QUEUE_SECONDS)
                continue
            title = f"{grid.name if grid else root}: {status.overview(found)}"
            live.update(status.live_table(title, found, live.console.width), refresh=True)
            if all(row["state"] in ENDED for row in found):
                return found
            if over():
                return look(root, grid)
            time.sleep(QUEUE_SECONDS if any(row["job"] for row in found) else LOOK_SECONDS)
