"""The ensembles of a grid (Table 5): judged once all their runs are finished, kept beside the runs.

runs/<grid>/ensembles/<name>.json has what the ensemble errs, which runs it is of, and by which protocol.
"""

import json
from pathlib import Path
from typing import Any

from lit_resnet.ablation import status
from lit_resnet.ablation.grid import Ensemble, Grid
from lit_resnet.errors import InputError
from lit_resnet.runfolder import RunFolder, read_json, write_whole


def members(grid: Grid, ensemble: Ensemble, root: Path) -> list[RunFolder]:
    """The run folders of an ensemble: all seeds of its cells."""
    return [status.folder(grid, cell, root) for cell in grid.cells if cell.name in ensemble.cells]


def ready(grid: Grid, root: Path) -> list[Ensemble]:
    """Ensembles whose runs are all finished, and that have not been judged as the grid says."""
    return [
        ensemble
        for ensemble in grid.ensembles
        if all(run.summary() for run in members(grid, ensemble, root)) and not _judged(grid, ensemble, root)
    ]


def keep(grid: Grid, ensemble: Ensemble, root: Path, errors: dict[str, Any]) -> None:
    """Write down what an ensemble errs."""
    data = members(grid, ensemble, root)[0].summary()["data"]
    file = _file(grid, ensemble, root)
    file.parent.mkdir(exist_ok=True)
    write_whole(file, json.dumps({**errors, **_said(grid, ensemble, root), "data": data}, indent=1) + "\n")


def _file(grid: Grid, ensemble: Ensemble, root: Path) -> Path:
    return root / grid.name / "ensembles" / f"{ensemble.name}.json"


def _said(grid: Grid, ensemble: Ensemble, root: Path) -> dict[str, Any]:
    return {"runs": [run.path.name for run in members(grid, ensemble, root)], "protocol": ensemble.protocol}


def _judged(grid: Grid, ensemble: Ensemble, root: Path) -> bool:
    try:
        known = read_json(_file(grid, ensemble, root)) or {}
    except InputError:
        return False
    return _said(grid, ensemble, root).items() <= known.items()
