"""The ensembles of a grid (Table 5): judged once all their runs are finished, kept beside the runs.

runs/<grid>/ensembles/<name>.json has what the ensemble errs, which runs it is of, and by which protocol.
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
    """What an ensemble errs: top1_error, top5_error (percent, or None), images, runs (folders), data.

    None where it has not been judged, or only with other runs, or when the grid said otherwise.

    Raises:
        InputError: Its file is damaged.
    """
    file = _file(grid, ensemble, root)
    content = read_json(file)
    known = None if content is None else evaluation(content)
    if content is not None and known is None:
        raise InputError(f"{file}: damaged; remove it and launch the grid again")
    return known if known and _said(grid, ensemble, root).items() <= known.items() else None


def keep(grid: Grid, ensemble: Ensemble, root: Path, errors: dict[str, Any]) -> None:
    """Write down what an ensemble errs."""
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
    runs = members(grid, ensemble, root)
    summaries = [run.summary() for run in runs]
    finished = [summary and summary.finished for summary in summaries]  # another time: trained again
    return {"runs": [run.path.name for run in runs], "finished": finished, "protocol": ensemble.protocol}
