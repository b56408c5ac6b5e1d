"""The ensembles of a grid (Table 5): judged once all their runs are finished, kept beside the runs.

runs/<grid>/ensembles/<name>.json has the errors of the ensemble, its runs and its protocol.
"""

import json
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.files import read_json, write_whole
from lit_resnet.grid import status
from lit_resnet.grid.grid import Ensemble, Grid
from lit_resnet.runfolder.folder import RunFolder, evaluation


def members(grid: Grid, ensemble: Ensemble, root: Path) -> list[RunFolder]:
    """The run folders of an ensemble: all seeds of its cells."""
    return [status.folder(grid, cell, root) for cell in grid.cells if cell.name in ensemble.cells]


def ready(grid: Grid, root: Path) -> list[Ensemble]:
    """Ensembles whose runs are all finished, and that have not been judged as the grid says."""
    return [
        ensemble
        for ensemble in grid.ensembles
        if all(run.summary() for run in members(grid, ensemble, root)) and not found(grid, ensemble, root)
    ]


def found(grid: Grid, ensemble: Ensemble, root: Path) -> dict[str, Any] | None:
    """The errors of an ensemble: top1_error, top5_error (percent, or None), images, runs (folders), data.

    None where it was not judged yet, or was judged with other runs or by another protocol.

    Raises:
        InputError: Its file is damaged.
    """
    file = _file(grid, ensemble, root)
    try:
        content = read_json(file)
        known = None if content is None else evaluation(content, grid.task)
    except (InputError, ValueError):
        raise InputError(f"{file}: damaged; remove it and launch the grid again") from None
    return known if known and _said(grid, ensemble, root).items() <= known.items() else None


def keep(grid: Grid, ensemble: Ensemble, root: Path, errors: dict[str, Any]) -> None:
    """Write the errors of an ensemble into its file."""
    summary = members(grid, ensemble, root)[0].summary()
    assert summary is not None  # see `ready`
    write(grid, ensemble, root, {**errors, **_said(grid, ensemble, root), "data": summary.data})


def write(grid: Grid, ensemble: Ensemble, root: Path, found: dict[str, Any]) -> None:
    """Replace an ensemble's file."""
    file = _file(grid, ensemble, root)
    file.parent.mkdir(exist_ok=True)
    write_whole(file, json.dumps(found, indent=1) + "\n")


def _file(grid: Grid, ensemble: Ensemble, root: Path) -> Path:
    return root / grid.name / "ensembles" / f"{ensemble.name}.json"


def _said(grid: Grid, ensemble: Ensemble, root: Path) -> dict[str, Any]:
    """What the file says of an ensemble as the grid has it now; another value there means: judge it again."""
    runs = members(grid, ensemble, root)
    summaries = [run.summary() for run in runs]
    finished = [summary and summary.finished for summary in summaries]  # changes when a run is trained again
    return {"runs": [run.path.name for run in runs], "finished": finished, "protocol": ensemble.protocol}
