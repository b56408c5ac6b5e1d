"""Stopping a grid or some of its cells, wherever they run: each saves where it is, and the next launch continues it."""

from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.launch.launcher import LAUNCHERS, launcher
from lit_resnet.runfolder.folder import RunFolder


def cancel(asked: Asked, names: list[str]) -> list[str]:
    """Ask the runs of some cells to stop, and take jobs without other runs to do out of all queues.

    Args:
        asked: The grid.
        names: Cells, with all their seeds, or run folders, as `Grid.chosen`; empty for the whole grid.

    Returns:
        The names of the run folders that were not finished, and are now asked to stop.

    Raises:
        InputError: No such cell, the folders cannot be written, or a queue refuses.
    """
    folders = [asked.folder(cell) for cell in asked.grid.chosen(names)]
    stopping = {folder.path.name: folder for folder in folders if not folder.summary()}
    try:
        for folder in stopping.values():
            if folder.path.is_dir():  # else it was never launched
                folder.ask_to_stop()
    except OSError as error:
        raise InputError(
            f"{error.filename or asked.home}: cannot be written ({error.strerror}); no job was taken out of a queue, "
            "and runs of other folders may have been asked to stop: look at lit-resnet status"
        ) from None
    for name in LAUNCHERS:
        there = launcher(name)
        queued = {folder: job for (_, folder), job in there.queue(asked.root, [asked.grid.name]).items()}
        others = (RunFolder(asked.home / folder) for folder in queued.keys() - stopping.keys())
        busy = {queued[other.path.name].id for other in others if not other.summary()}  # jobs with runs that go on
        if ids := {queued[folder].id for folder in stopping.keys() & queued.keys()} - busy:
            there.cancel(sorted(ids))
    return list(stopping)
