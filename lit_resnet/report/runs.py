"""A grid's run folders, read: which runs are finished, and what the finished seeds of each cell say together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from lit_resnet import data_sets
from lit_resnet.errors import InputError
from lit_resnet.evaluation import Testing
from lit_resnet.files import clock
from lit_resnet.grid import ensembles, status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.exhibits import Kind
from lit_resnet.grid.grid import Ensemble, Grid
from lit_resnet.runfolder.folder import RunFolder


@dataclass(frozen=True)
class Run:
    """One run of the grid; `summary` is None while it is not finished.

    `state` is that of `lit-resnet status`: queued, running, stopped, failed or done. So are `step` and `max_steps`,
    how far an unfinished run is, and `note`, such as why it failed.
    """

    cell: str
    seed: int
    state: str
    folder: RunFolder
    summary: dict[str, Any] | None
    step: int = 0
    max_steps: int = 0
    note: str = ""

    @cached_property
    def metrics(self) -> list[dict[str, float | None]]:
        """Rows of its metrics.csv, read once.

        Raises:
            InputError: The file is damaged.
        """
        return self.folder.metrics()

    @cached_property
    def curve(self) -> list[dict[str, float | None]]:
        """Rows of its metrics.csv, for drawing; none of an unfinished run whose file is damaged: no result needs them.

        Raises:
            InputError: The file of a finished run is damaged.
        """
        try:
            return self.metrics
        except InputError:
            if self.summary:
                raise
            return []

    @property
    def best_test_error(self) -> float | None:
        """The lowest test error in its curve.

        Raises:
            InputError: The file of a finished run is damaged.
        """
        errors = [row["test_error"] for row in self.curve if row["test_error"] is not None]
        return min(filter(isfinite, errors), default=None)

    @cached_property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        """Its errors by protocol, from its evaluation.json, read once; those on another data set are left out.

        Raises:
            InputError: The file is damaged.
        """
        found = self.folder.evaluations()
        return {protocol: errors for protocol, errors in found.items() if errors.get("data") == self.summary["data"]}


@dataclass(frozen=True)
class Over:
    """One number over the n seeds of a cell; `std` is the sample standard deviation (n - 1), None for one seed."""

    n: int
    mean: float
    std: float | None
    best: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Over | None":
        """From one value per seed; None if any seed has no value."""
        if None in values:
            return None
        return cls(len(values), fmean(values), stdev(values) if len(values) > 1 else None, min(values))


@dataclass(frozen=True)
class FinishedCell:
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
        return is_plain(self.net)

    @property
    def residual(self) -> bool:
        """Whether it is a residual net."""
        return self.net["shortcut"] != "none"

    @property
    def kind(self) -> Kind | None:
        """Plain or residual; None for VGG, which is neither."""
        return "residual" if self.residual else "plain" if self.plain else None

    def over_seeds(self, key: str) -> Over | None:
        """Mean, std and smallest value of a number of the summaries; None where a run has none."""
        return Over.of([run.summary.get(key) for run in self.runs])

    def judged(self, protocol: Testing, key: str) -> Over | None:
        """The same of an error of that protocol, `top1_error` or `top5_error`."""
        return Over.of([run.evaluations.get(protocol, {}).get(key) for run in self.runs])


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
    def cells(self) -> tuple[FinishedCell, ...]:
        """Cells with finished runs; one row of a table each."""
        names = dict.fromkeys(run.cell for run in self.finished)
        return tuple(FinishedCell(name, tuple(run for run in self.finished if run.cell == name)) for name in names)

    @property
    def photographs(self) -> bool:
        """Whether its nets train on ImageNet, or a folder like it: then its test errors are of the centre crop."""
        data = [self.grid.config(cell).get("data") for cell in self.grid.cells]
        return all(isinstance(said, dict) and data_sets.is_photographs(said.get("source")) for said in data)

    def ensemble(self, ensemble: Ensemble) -> dict[str, Any] | None:
        """The errors of one of its ensembles: top1_error, top5_error (percent, or None), images, runs (folders), data.

        None where it has not been judged, or was judged when the grid had another ensemble of that name.

        Raises:
            InputError: Its file is damaged.
        """
        return ensembles.found(self.grid, ensemble, self.folder.parent)

    def progress(self) -> str:
        """`17 of 21 runs finished (1 failed, 3 queued)`."""
        others = Counter(run.state for run in self.runs if not run.summary)
        left_out = ", ".join(f"{count} {state}" for state, count in sorted(others.items()))
        return f"{len(self.finished)} of {len(self.runs)} runs finished" + (f" ({left_out})" if left_out else "")


def is_plain(net: dict[str, Any]) -> bool:
    """Whether a net, as a config or a summary has it, is plain. VGG does not count: no residual net is its twin."""
    return net.get("shortcut") == "none" and net.get("family") != "vgg"


def read(asked: Asked) -> GridRuns:
    """The runs of a grid, from their folders.

    Raises:
        InputError: No such grid, a damaged run folder, one of a run with another config, or no finished run.
    """
    grid, folder = asked.grid, asked.home
    runs, now = [], clock(asked.root)
    for cell in grid.cells:
        run = asked.folder(cell)
        status.check_config(grid, cell, run)
        runs.append(_run(cell.name, cell.seed, run, now))
    if not any(run.summary for run in runs):
        raise InputError(f"no finished runs of {grid.name} in {folder}; start them with: {asked.command('launch')}")
    return GridRuns(grid, folder, tuple(runs))


def _run(cell: str, seed: int, folder: RunFolder, now: float) -> Run:
    summary = folder.summary()
    if summary is None:
        row = status.row(folder, cell, seed, now)
        return Run(cell, seed, row["state"], folder, None, row["step"], row["max_steps"], row["note"])
    return Run(cell, seed, "done", folder, summary)
