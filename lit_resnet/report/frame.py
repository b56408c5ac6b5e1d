"""The runs of a grid as a pandas DataFrame."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_resnet.grid.asked import ROOT, Asked
from lit_resnet.report import runs
from lit_resnet.report.runs import GridRuns, Run

if TYPE_CHECKING:
    import pandas

# Of a finished run's summary, beside its net and its metrics.
FIELDS = ("data", "params", "macs", "steps", "batch_size", "precision", "wall_seconds", "images_per_second", "device")


def read_runs(grid: str, root: str | Path = ROOT, settings: Sequence[str] = ()) -> "pandas.DataFrame":
    """All runs of a grid, a row each.

    Columns: `cell`, `seed`, `state`; what the grid varies, by short names (`lr` for `model.rate.lr`), with the base's
    value where a cell says none; of finished runs
    `net`, the keys of its config (`depth`, `shortcut`, ...), the final metrics (`test_error`, ...; errors in percent),
    the best value in a run's curve of the metric that runs are compared by (`best_test_error`), parameters,
    multiply-adds and cost; and last the run's `folder`. Values that an unfinished run does not have are missing.

    Args:
        grid: The grid's shipped name, or the path of its file.
        root: Where run folders are.
        settings: The `KEY=VALUE` that it was launched with.

    Raises:
        InputError: No such grid, no finished run of it, or a damaged run folder.
        ImportError: pandas is not installed.
    """
    import pandas

    found = runs.read(Asked(grid, tuple(settings), Path(root)))
    return pandas.DataFrame([_row(found, run) for run in found.runs])


def _row(found: GridRuns, run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"cell": run.cell, "seed": run.seed, "state": run.state}
    row |= {axis.name: axis.raw[run.cell] for axis in found.axes}
    if run.summary:
        headline = found.headline
        row |= {"net": run.summary.net, **run.summary.net_config, **run.summary.metrics}
        row |= {f"best_{headline.name}": run.best(headline), **{name: getattr(run.summary, name) for name in FIELDS}}
    return row | {"folder": str(run.folder.path)}
