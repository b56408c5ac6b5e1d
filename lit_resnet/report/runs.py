"""A grid's run folders, read: which runs are finished, and what the finished seeds of each cell say together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from lit_resnet.ablation import status
from lit_resnet.ablation.grid import Grid, load
from lit_resnet.errors import InputError
from lit_resnet.runfolder import RunFolder


@dataclass(frozen=True)
class Run:
    """One run of the grid; `summary` is None while it is not finished.

    `state` is that of `lit-resnet status`: queued, running, stopped, failed or done.
    """

    cell: str
    seed: int
    state: str
    folder: RunFolder
    summary: dict[str, Any] | None


@dataclass(frozen=True)
class Over:
    """One number over the seeds of a cell; `std` is the sample standard deviation (n - 1), None for one seed."""

    mean: float
    std: float | None
    best: float


@dataclass(frozen=True)
class Cell:
    """A cell of the grid that has at least one finished run."""

    name: str
    runs: tuple[Run, ...]

    @property
    def net(self) -> dict[str, Any]:
        """What all seeds of the cell share: any summary's net, family, depth, shortcut, data, params, macs, ..."""
        return self.runs[0].summary

    @property
    def plain(self) -> bool:
        """Whether it is a plain net."""
        return self.net["shortcut"] == "none"

    def over_seeds(self, key: str) -> Over | None:
        """Mean, std and smallest value of a number of the summaries; None where a run has none."""
        values = [run.summary.get(key) for run in self.runs]
        if None in values:
            return None
        return Over(fmean(values), stdev(values) if len(values) > 1 else None, min(values))


@dataclass(frozen=True)
class GridRuns:
    """All runs of a grid, in its order."""

    grid: Grid
    folder: Path
    runs: tuple[Run, ...]

    @property
    def finished(self) -> tuple[Run, ...]:
        """Runs that have a summary."""
        return tuple(run for run in self.runs if run.summary)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Cells with finished runs; one row of a table each."""
        names = dict.fromkeys(run.cell for run in self.finished)
        return tuple(Cell(name, tuple(run for run in self.finished if run.cell == name)) for name in names)

    def progress(self) -> str:
        """`17 of 21 runs finished (1 failed, 3 queued)`."""
        others = Counter(run.state for run in self.runs if not run.summary)
        left_out = ", ".join(f"{count} {state}" for state, count in sorted(others.items()))
        return f"{len(self.finished)} of {len(self.runs)} runs finished" + (f" ({left_out})" if left_out else "")


def read(grid_name: str, root: Path, settings: Sequence[str] = ()) -> GridRuns:
    """The runs of a grid (its shipped name or path, and settings `KEY=VALUE`) under `root`.

    Raises:
        InputError: No such grid, a damaged run folder, one of a run with another config, or no finished run.
    """
    grid = load(grid_name, settings)
    folder = root / grid.name
    runs = []
    for cell in grid.cells:
        run = status.folder(grid, cell, root)
        status.check_config(grid, cell, run)
        runs.append(_run(cell.name, cell.seed, run))
    if not any(run.summary for run in runs):
        raise InputError(f"no finished runs of {grid.name} in {folder}; start them with: lit-resnet launch {grid_name}")
    return GridRuns(grid, folder, tuple(runs))


def _run(cell: str, seed: int, folder: RunFolder) -> Run:
    summary = folder.summary()
    if summary is None:
        return Run(cell, seed, status.row(folder, cell, seed)["state"], folder, None)
    return Run(cell, seed, "done", folder, summary)
