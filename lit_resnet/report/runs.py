"""The run folders of a grid: which runs are finished, and the metrics of each cell over its finished seeds."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from lit_resnet import data_sets
from lit_resnet.errors import InputError
from lit_resnet.files import clock
from lit_resnet.grid import axes, ensembles, status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.axes import Axis, Plain
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.exhibits import Kind
from lit_resnet.grid.grid import Ensemble, Grid
from lit_resnet.metrics import TEST_ERROR, Metric, listed
from lit_resnet.nested import mapping_at, value_at
from lit_resnet.report.looks import Look, Looks, is_plain, of_cells
from lit_resnet.runfolder import diagrams, examples, lesions, precision, predictions, records
from lit_resnet.runfolder.diagrams import Diagram
from lit_resnet.runfolder.examples import Example
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lesions import Lesion
from lit_resnet.runfolder.summary import Summary
from lit_resnet.task import Task

Points = tuple["array[int]", "array[float]"]  # steps and values


@dataclass(frozen=True)
class Run:
    """One run of the grid. A finished one, which has a summary, is a `FinishedRun`.

    `state` is that of `lit-resnet status`: queued, running, stopped, failed or done. So are `step` and `max_steps`,
    how far an unfinished run is, and `note`, such as why it failed.
    """

    cell: str
    seed: int
    state: str
    folder: RunFolder
    task: Task
    summary: Summary | None
    step: int = 0
    max_steps: int = 0
    note: str = ""

    @cached_property
    def metrics(self) -> dict[str, Points]:
        """What its metrics.csv has, read once: by the metrics that were measured, the steps and the values.

        A report holds those of all its runs: in arrays they take a quarter of the memory.

        Raises:
            InputError: The file is damaged, or that of a finished run lacks rows or has them twice.
        """
        record, folder = records.metrics(self.task), self.folder.path
        rows = record.whole(folder, self.summary.steps) if self.summary else record.grown(folder)
        measured = {name: [row for row in rows if row[name] is not None] for name in record.values}
        return {
            name: (array("q", [row["step"] for row in found]), array("d", [row[name] for row in found]))
            for name, found in measured.items()
            if found
        }

    @cached_property
    def curve(self) -> dict[str, Points]:
        """As `metrics`; nothing if the run is unfinished and the file is damaged, as no result needs it.

        Raises:
            InputError: The file of a finished run is damaged.
        """
        try:
            return self.metrics
        except InputError:
            if self.summary:
                raise
            return {}

    def logged(self, metric: Metric) -> list[tuple[int, float]]:
        """The points of its curve of a metric, as steps and values; none where the metric was not measured.

        Raises:
            InputError: The file of a finished run is damaged.
        """
        return list(zip(*self.curve.get(metric.name, ((), ())), strict=True))

    def value(self, metric: Metric) -> float | None:
        """The last value of a final metric; None while it is not finished, or where it was not measured."""
        return self.summary.metrics.get(metric.name) if self.summary else None

    def best(self, metric: Metric) -> float | None:
        """The best value in its curve; None where there is none.

        Raises:
            InputError: The file of a finished run is damaged.
        """
        return metric.best(value for _, value in self.logged(metric))


@dataclass(frozen=True)
class FinishedRun(Run):
    """A run that has a summary."""

    summary: Summary

    @cached_property
    def responses(self) -> list[float]:
        """Std of each layer's response, in the order of the layers, read once; empty where it was not measured.

        Raises:
            InputError: Its responses.csv is damaged.
        """
        return [row["std"] for row in records.RESPONSES.read(self.folder.path)]

    @cached_property
    def signals(self) -> dict[int, list[records.Row]]:
        """By the sampled iteration the signals of each layer, read once; empty where they were not measured.

        Raises:
            InputError: Its signals.csv is damaged.
        """
        return self._by_step(records.SIGNALS)

    @cached_property
    def gates(self) -> dict[int, list[records.Row]]:
        """By the logged iteration how far the gate of each block was open, read once; empty for most nets.

        Raises:
            InputError: Its gates.csv is damaged.
        """
        return self._by_step(records.GATES)

    def _by_step(self, record: records.Record) -> dict[int, list[records.Row]]:
        found: dict[int, list[records.Row]] = defaultdict(list)
        for row in record.read(self.folder.path):
            found[row["step"]].append(row)
        return dict(found)

    @cached_property
    def lesions(self) -> list[Lesion]:
        """Its test error without some of its blocks, see `lesions.py`, read once; empty where it was not measured.

        Raises:
            InputError: Its lesions.csv is damaged.
        """
        return lesions.read(self.folder.path)

    @cached_property
    def predictions(self) -> np.ndarray | None:
        """The class of each test image, and what the last model took it for; None where that was not kept.

        Raises:
            InputError: The file is damaged.
        """
        return predictions.read(self.folder.path, self.summary.metrics.get(TEST_ERROR.name))

    @cached_property
    def precision(self) -> dict[str, list[float]]:
        """Of a detector the precision of each class over recall, see `precision.py`; empty where it was not kept.

        Raises:
            InputError: Its precision.csv is damaged.
        """
        return precision.read(self.folder.path)

    @cached_property
    def examples(self) -> list[Example]:
        """Of a detector some test images with what is in them and what it found; none where they were not kept.

        Raises:
            InputError: A file of them is damaged.
        """
        return examples.read(self.folder.path)

    @cached_property
    def diagrams(self) -> tuple[Diagram, ...]:
        """The kinds of blocks of its net; none where they were not recorded.

        Raises:
            InputError: Its blocks.json is damaged.
        """
        return diagrams.read(self.folder.path)

    @cached_property
    def test_count(self) -> int | None:
        """The number of its test images, as far as it is known.

        Raises:
            InputError: As `predictions`.
        """
        if self.predictions is not None:
            return len(self.predictions)
        return data_sets.PUBLISHED.get(self.summary.data)

    @cached_property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        """Its errors by protocol, from its evaluation.json, read once; those on another data set are left out.

        Raises:
            InputError: The file is damaged.
        """
        found = self.folder.evaluations(self.task)
        return {protocol: errors for protocol, errors in found.items() if errors.get("data") == self.summary.data}


@dataclass(frozen=True)
class Over:
    """A metric over the n seeds of a cell; `std` is the sample standard deviation (n - 1), None for one seed.

    `best` is None where no seed has a finite value. Mean and `std` are no numbers where a value is none, as of a run
    that diverged.
    """

    metric: Metric
    n: int
    mean: float
    std: float | None
    best: float | None

    @classmethod
    def of(cls, metric: Metric, values: Sequence[float | None]) -> "Over | None":
        """From one value per seed; None if any seed has no value. Of one that is no number the mean is none, either."""
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        finite = all(map(math.isfinite, known))
        mean, std = (fmean(known), stdev(known) if len(known) > 1 else 0.0) if finite else (math.nan, math.nan)
        return cls(metric, len(known), mean, std if len(known) > 1 else None, metric.best(known))


@dataclass(frozen=True)
class FinishedCell:
    """A cell of the grid that has at least one finished run.

    Args:
        name: Its name.
        runs: Its finished runs.
        look: How its lines look.
        axes: Its value on each axis of the grid in which cells differ, by the axis's name.
    """

    name: str
    runs: tuple[FinishedRun, ...]
    look: Look
    axes: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def summary(self) -> Summary:
        """The summary of one seed, for what all seeds share: the net, the data set, parameters, multiply-adds, ..."""
        return self.runs[0].summary

    @property
    def depth(self) -> int | None:
        """Layers of the net; None where its config does not say."""
        return self.summary.net_config.get("depth") or None

    @property
    def plain(self) -> bool:
        """Whether it is a plain net."""
        return is_plain(self.summary.net_config)

    @property
    def residual(self) -> bool:
        """Whether it is a residual net."""
        return self.summary.net_config.get("shortcut", "none") != "none"

    @property
    def kind(self) -> Kind | None:
        """Plain or residual; None for VGG, which is neither."""
        return "residual" if self.residual else "plain" if self.plain else None

    @cached_property
    def responses(self) -> list[list[float]]:
        """Those of the runs that measured them; see `FinishedRun.responses`.

        Raises:
            InputError: A responses.csv is damaged, or has other layers than that of another seed.
        """
        return [run.responses for run in self._alike(records.RESPONSES, lambda run: len(run.responses))]

    @cached_property
    def signals(self) -> list[dict[int, list[records.Row]]]:
        """Those of the runs that measured them and did not diverge; see `FinishedRun.signals`.

        Raises:
            InputError: A signals.csv is damaged, or has other layers than that of another seed.
        """
        return self._of_layers(records.SIGNALS, lambda run: run.signals)

    @cached_property
    def lesions(self) -> list[list[Lesion]]:
        """Those of the runs that measured them; see `FinishedRun.lesions`.

        Raises:
            InputError: A lesions.csv is damaged, or has other blocks than that of another seed.
        """
        found = self._alike(records.LESIONS, lambda run: sum(lesion.removed == 1 for lesion in run.lesions), "blocks")
        return [run.lesions for run in found]

    @cached_property
    def gates(self) -> list[dict[int, list[records.Row]]]:
        """Those of the runs that have gates and did not diverge; see `FinishedRun.gates`.

        Raises:
            InputError: A gates.csv is damaged, or has other blocks than that of another seed.
        """
        return self._of_layers(records.GATES, lambda run: run.gates)

    def _of_layers(
        self, record: records.Record, of_run: Callable[[FinishedRun], dict[int, list[records.Row]]]
    ) -> list[dict[int, list[records.Row]]]:
        """What the runs that did not diverge measured of each layer, by iteration."""
        found = self._alike(record, lambda run: len(next(iter(of_run(run).values()), ())))
        return [of_run(run) for run in found if not run.summary.diverged]

    def _alike(
        self, record: records.Record, count: Callable[[FinishedRun], int], parts: str = "layers"
    ) -> list[FinishedRun]:
        """The runs that have that record, which must be of the same number of parts: they are of one net."""
        found = [run for run in self.runs if count(run)]
        for run in found:
            if (here := count(run)) != (there := count(found[0])):
                raise record.damaged(run.folder.path, f"{here} {parts}, and {there} in that of seed {found[0].seed}")
        return found

    def over_seeds(self, metric: Metric) -> Over | None:
        """A final metric over the seeds; None where a run has none."""
        return Over.of(metric, [run.value(metric) for run in self.runs])

    def judged(self, protocol: str, metric: Metric) -> Over | None:
        """A number by that protocol, one of its task's `judged`, over the seeds; None where a run has none."""
        return Over.of(metric, [run.evaluations.get(protocol, {}).get(metric.name) for run in self.runs])


@dataclass(frozen=True)
class GridRuns:
    """All runs of a grid, in its order."""

    grid: Grid
    folder: Path
    runs: tuple[Run, ...]

    @cached_property
    def finished(self) -> tuple[FinishedRun, ...]:
        """Runs that have a summary."""
        return tuple(run for run in self.runs if isinstance(run, FinishedRun))

    @cached_property
    def cells(self) -> tuple[FinishedCell, ...]:
        """Cells with finished runs; one row of a table each."""
        seeds: dict[str, list[FinishedRun]] = {}
        for run in self.finished:
            seeds.setdefault(run.cell, []).append(run)
        varying = [axis for axis in self.axes if axis.varies]
        return tuple(
            FinishedCell(name, tuple(runs), self.looks.of[name], {axis.name: axis.plain[name] for axis in varying})
            for name, runs in seeds.items()
        )

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The config keys in which its cells differ, with the value of each cell."""
        return axes.read(self.grid, self.folder.parent)

    @cached_property
    def looks(self) -> Looks:
        """How the lines of its cells look, in figures and on the page."""
        return of_cells(self.nets, self.axes)

    @cached_property
    def nets(self) -> dict[str, dict[str, Any]]:
        """The config of the net of each cell, by name: as its runs recorded it, else as far as the grid says it."""
        finished = {run.cell: run.summary.net_config for run in self.finished}
        cells = {cell.name: cell for cell in self.grid.cells}
        return {name: finished.get(name) or self._said(cell) for name, cell in cells.items()}

    def _said(self, cell: Cell) -> dict[str, Any]:
        """What the grid says of the net of a cell, as far as it can be: the values have not been checked."""
        net = mapping_at(self.grid.config(cell), "model.net").items()
        return {key: value for key, value in net if value is None or isinstance(value, str | int | float)}

    @property
    def photographs(self) -> bool:
        """Whether its nets train on ImageNet or a folder like it; their test error is that of the centre crop."""
        configs = map(self.grid.config, self.grid.cells)
        return all(data_sets.is_photographs(value_at(config, "data.source")) for config in configs)

    @cached_property
    def final(self) -> tuple[Metric, ...]:
        """The final metrics that its runs have, and in any case the headline; with the labels of tables and pages.

        ImageNet's test labels are not public: its nets are tested on the validation images, and the label says so.
        """
        task = self.grid.task
        known = listed(task.final, [run.summary.metrics for run in self.finished])
        found = [metric for metric in task.final if metric in known or metric == task.headline]
        validation = replace(TEST_ERROR, label="validation error", about="of the last model, centre crop")
        return tuple(validation if metric == TEST_ERROR and self.photographs else metric for metric in found)

    @property
    def headline(self) -> Metric:
        """The one of the final metrics that runs are compared by."""
        return next(metric for metric in self.final if metric.name == self.grid.task.headline.name)

    @cached_property
    def on_other_images(self) -> tuple[FinishedRun, ...]:
        """Runs whose test images are not those of most runs on the data set of that name."""
        known = Counter((run.summary.data, run.summary.test_images) for run in self.finished if run.summary.test_images)
        usual: dict[str, str | None] = {}
        for (data, images), _ in known.most_common():
            usual.setdefault(data, images)
        return tuple(
            run
            for run in self.finished
            if run.summary.test_images and run.summary.test_images != usual[run.summary.data]
        )

    def ensemble(self, ensemble: Ensemble) -> dict[str, Any] | None:
        """The errors of one of its ensembles: top1_error, top5_error (percent, or None), images, runs (folders), data.

        None where it has not been judged, or was judged when the grid had another ensemble of that name.

        Raises:
            InputError: Its file is damaged.
        """
        return ensembles.found(self.grid, ensemble, self.folder.parent)

    def progress(self) -> str:
        """`17 of 21 runs finished (1 failed, 3 queued)`."""
        others = Counter(run.state for run in self.runs if not isinstance(run, FinishedRun))
        left_out = ", ".join(f"{count} {state}" for state, count in sorted(others.items()))
        return f"{len(self.finished)} of {len(self.runs)} runs finished" + (f" ({left_out})" if left_out else "")


def read(asked: Asked, cells: Sequence[str] = ()) -> GridRuns:
    """The runs of a grid, or of some of its cells (see `Grid.chosen`), from their folders.

    Raises:
        InputError: No such grid or cell, a damaged run folder, one of a run with another config, or no finished run.
    """
    grid, folder = asked.grid.part(cells) if cells else asked.grid, asked.home
    runs, now = [], clock(asked.root)
    for cell in grid.cells:
        run = asked.folder(cell)
        status.check_config(grid, cell, run)
        runs.append(_run(cell, run, grid.task, now))
    if not any(isinstance(run, FinishedRun) for run in runs):
        raise InputError(
            f"no finished runs of {grid.name} in {folder}; start them with: {asked.command('launch', *cells)}"
        )
    return GridRuns(grid, folder, tuple(runs))


def _run(cell: Cell, folder: RunFolder, task: Task, now: float) -> Run:
    summary = folder.summary()
    if summary is None:
        row = status.row(folder, cell.name, cell.seed, now)
        return Run(cell.name, cell.seed, row["state"], folder, task, None, row["step"], row["max_steps"], row["note"])
    return FinishedRun(cell.name, cell.seed, "done", folder, task, summary)
