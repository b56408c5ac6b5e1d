"""What a launcher is, and the table of them: `lit-resnet launch --on NAME`.

Another one is a file with a class that does what `Launcher` says, and an entry in `LAUNCHERS`. It lets
`lit-resnet run GRID CELL` train the runs elsewhere, one command for each: that trains a run in its run folder, tells
W&B, and writes the report if it was the last.
"""

from argparse import Action, Namespace, _ArgumentGroup
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import Grid
from lit_resnet.grid.status import Queued

# By the word after --on: the module and the class, imported when they are needed.
LAUNCHERS = {
    "local": "lit_resnet.launch.local:Local",
    "slurm": "lit_resnet.launch.slurm:Slurm",
}
LOCAL = "local"  # where nothing else is asked for


@dataclass
class Outcome:
    """What became of the runs: names of those that have failed (and of ensembles), and of those that were cancelled."""

    failed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    stopped: bool = False


class Companion(Protocol):
    """What accompanies runs while they are made, such as the process that tells W&B of them."""

    def hurry(self) -> None:
        """Wait less long for it at the end: the launch was stopped."""


# Accompanies some runs (names of run folders) of a grid; what it says goes to the callable, line by line.
Accompany = Callable[[Asked, Sequence[str], Callable[[str], None]], AbstractContextManager[Companion]]


class Launcher(Protocol):
    """Makes the runs of a grid, here or elsewhere. One is made, without arguments, whenever it is asked something."""

    def options(self, group: _ArgumentGroup) -> list[Action]:
        """Add its own options to those of `lit-resnet launch`, under names that no other launcher has; returns them."""
        ...

    def launch(self, asked: Asked, grid: Grid, options: Namespace, accompany: Accompany) -> Outcome | None:
        """Make what is missing of `grid`.

        Args:
            asked: The whole grid, where its run folders are, and the words by which other processes find it.
            grid: Of the whole grid the cells that are to be run.
            options: The values of its own options.
            accompany: Is to be entered around the runs by a launcher that makes them in this process.

        Returns:
            What became of the runs; None where they go on without this process.

        Raises:
            InputError: A cell or an option is wrong; nothing was started.
        """

    def queue(self, root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
        """What it has queued or begun elsewhere of some grids under `root`, by the names of grid and run folder.

        Must answer quickly, and import neither torch nor lightning. Empty for one that has no queue.

        Raises:
            InputError: The queue cannot be asked.
        """
        ...

    def cancel(self, ids: list[str]) -> None:
        """Take jobs out of its queue; what has begun saves where it is.

        Args:
            ids: As `queue` says them.

        Raises:
            InputError: The queue refuses.
        """


def launcher(name: str) -> Launcher:
    """The launcher of that name in `LAUNCHERS`."""
    module, _, attribute = LAUNCHERS[name].partition(":")
    return getattr(import_module(module), attribute)()


def queue(root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
    """What all launchers have queued or begun of some grids under `root`, by the names of grid and run folder.

    Raises:
        InputError: A queue cannot be asked.
    """
    grids, found = list(grids), {}
    for name in LAUNCHERS:
        found |= launcher(name).queue(root, grids)
    return found
