"""The protocol of a launcher, and the table of launchers: `lit-resnet launch --on NAME`.

To add one, write a class that follows `Launcher`, in a file of its own, and enter it in `LAUNCHERS`. It starts
`lit-resnet run GRID CELL` elsewhere, one command for each run. The command trains the run in its run folder, tells W&B
of it, and writes the report after the last run.
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

# By the word after --on: the module and the class, which are imported when they are needed.
LAUNCHERS = {
    "local": "lit_resnet.launch.local:Local",
    "slurm": "lit_resnet.launch.slurm:Slurm",
}
LOCAL = "local"  # the default


@dataclass
class Outcome:
    """How a launch ended.

    Args:
        failed: Names of the runs that have failed, and of the ensembles that could not be judged.
        cancelled: Names of the runs that were cancelled.
        stopped: Whether a signal stopped it.
    """

    failed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    stopped: bool = False


class Companion(Protocol):
    """A companion of runs while they train, such as the process that tells W&B of them."""

    def hurry(self) -> None:
        """Wait less long at the end, as the launch was stopped."""


# Accompanies some runs (names of run folders) of a grid; the callable takes its messages, line by line.
Accompany = Callable[[Asked, Sequence[str], Callable[[str], None]], AbstractContextManager[Companion]]


class Launcher(Protocol):
    """Trains the runs of a grid, here or elsewhere. Made without arguments for each call: it keeps no state."""

    def options(self, group: _ArgumentGroup) -> list[Action]:
        """Add its own options to `lit-resnet launch`, under names that no other launcher has; returns them."""
        ...

    def launch(self, asked: Asked, grid: Grid, options: Namespace, accompany: Accompany) -> Outcome | None:
        """Train the missing runs of `grid`.

        Args:
            asked: The whole grid and the root of its run folders, in words that other processes understand.
            grid: The cells of the whole grid that are to be run.
            options: The values of its own options.
            accompany: Gives a context manager; a launcher that trains in this process's children enters it around
                their training.

        Returns:
            How the launch ended; None where the runs go on without this process.

        Raises:
            InputError: A cell or an option is wrong; nothing was started.
        """

    def queue(self, root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
        """The runs of some grids under `root` that it has queued or begun elsewhere, by names of grid and run folder.

        Must answer quickly, and import neither torch nor lightning. Empty for a launcher that has no queue.

        Raises:
            InputError: The queue cannot be asked.
        """
        ...

    def cancel(self, ids: list[str]) -> None:
        """Take jobs out of its queue; runs that have begun save where they are.

        Args:
            ids: The ids of `queue`.

        Raises:
            InputError: The queue refuses.
        """


def launcher(name: str) -> Launcher:
    """A launcher, by its name in `LAUNCHERS`."""
    module, _, attribute = LAUNCHERS[name].partition(":")
    return getattr(import_module(module), attribute)()


def queue(root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
    """The runs of some grids under `root` that any launcher has queued or begun, by the names of grid and run folder.

    Raises:
        InputError: A queue cannot be asked.
    """
    grids, found = list(grids), {}
    for name in LAUNCHERS:
        found |= launcher(name).queue(root, grids)
    return found
