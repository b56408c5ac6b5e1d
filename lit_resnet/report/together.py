"""The runs of several grids as those of one, for a report that sets them side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.grid import exhibits
from lit_resnet.grid.cells import SEED, START, Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.report.runs import GridRuns


def together(several: Sequence[GridRuns], root: Path) -> GridRuns:
    """The cells of several grids as cells of one, each called by its grid and its name: `fig6/plain-20`.

    What the grids differ in are axes, as in a grid of one's own: a base with another learning rate is a column. The
    figures and tables are those of all grids; ensembles are left out.

    Args:
        several: Grids of one task, with different names.
        root: The folder that the folder of the report is to be in.

    Raises:
        InputError: The grids are of different tasks, or two have one name.
    """
    grids = [runs.grid for runs in several]
    names = [grid.name for grid in grids]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{twice}: stands twice: name grids that differ")
    if other := next((grid for grid in grids if grid.task != grids[0].task), None):
        raise InputError(f"{other.name} is of the task {other.task.name}, {grids[0].name} of {grids[0].task.name}")
    cells = [
        Cell(f"{runs.grid.name}/{cell.name}", cell.seed, _config(runs, cell))
        for runs in several
        for cell in runs.grid.cells
    ]
    first: dict[str, Any] = {}  # of each key the first value; it may not be known of all cells
    differing: set[str] = set()
    for cell in cells:
        for key, value in cell.overrides.items():
            if first.setdefault(key, value) != value:
                differing.add(key)
    figures = [grid.figures if grid.figures is not None else exhibits.DEFAULT for grid in grids]
    tables = [name for grid in grids for name in grid.tables_of_runs]
    grid = Grid(
        name="+".join(names),
        title="; ".join(f"{grid.name}: {grid.title}" for grid in grids),
        base={},
        cells=tuple(
            replace(cell, overrides={key: value for key, value in cell.overrides.items() if key in differing})
            for cell in cells
        ),
        figures=tuple(dict.fromkeys(name for asked in figures for name in asked)),
        tables=tuple(dict.fromkeys(tables)),
        ensembles=(),
        settings={key: value for key, value in first.items() if key not in differing},
        cluster=grids[0].cluster,
    )
    runs = [replace(run, cell=f"{found.grid.name}/{run.cell}") for found in several for run in found.runs]
    return GridRuns(grid, root / grid.name, tuple(runs))


def _config(runs: GridRuns, cell: Cell) -> dict[str, Any]:
    """The values of a cell by their keys: all of them where a run of it is finished, else what its grid says."""
    said = _flat(runs.grid.config(replace(cell, seed=0)))
    of_cell = (run for run in runs.finished if run.cell == cell.name)
    complete = next((run.summary.config for run in of_cell if run.summary.config), {})
    found = said | _flat(complete)
    if (start := runs.grid.start(cell)) is not None:
        found[START] = str(start)  # not its folder, in which the seed is
    return {key: value for key, value in found.items() if key not in (SEED, "data.root")}


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value and "class_path" not in value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
