"""The name, tags and config by which a run is found in W&B."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from lit_resnet.files import read_yaml
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Ensemble, Grid
from lit_resnet.nested import value_at
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.sameness import digest

LONGEST_ID, LONGEST_TAG = 64, 64  # characters that W&B takes
TOLD = ("grid", "cell", "seed", "said", "started")  # beside a run's config
# Of the status: where and with what the newest attempt is made.
MADE = ("host", "machine", "versions", "git_commit", "git_dirty", "own_git_commit", "own_git_dirty", "code")


@dataclass(frozen=True)
class Entry:
    """What W&B is told of a run when it starts.

    Args:
        id: The same for every attempt at the run, and for nothing else in the project.
        group: The grid.
        name: The cell; all its seeds have it, so that grouping by name is a mean over seeds.
        job_type: `train`; `eval` for an ensemble.
        tags: The data set, and the paper's tables and figures that the grid is about.
        config: The run's config, nested, and flat beside it the axes of the grid (`depth`, `shortcut`, ...), `grid`,
            `cell`, `seed`; W&B filters by nested keys, but groups poorly by them. Also where and with what it is made:
            `host`, `machine`, `versions`, `git_commit`, ...
    """

    id: str
    group: str
    name: str
    job_type: str
    tags: tuple[str, ...]
    config: dict[str, Any]


def of_run(grid: Grid, cell: Cell, folder: RunFolder) -> Entry:
    """The entry of a run that has begun.

    Raises:
        InputError: Its config is missing or damaged.
    """
    config, said = folder.config(), read_yaml(folder.cell_file)
    net = (config.get("model") or {}).get("net") or {}
    varied = {place: value_at(config, grid.axes[name]) for name, place in flat_axes(grid).items()}
    data = filter(None, [value_at(config, "data.source")])
    status = folder.status()
    told = dict(zip(TOLD, (grid.name, cell.name, cell.seed, said, status.started), strict=True))
    told |= {name: getattr(status, name) for name in MADE}
    return Entry(
        id=run_id(grid, cell, said),
        group=grid.name,
        name=cell.name,
        job_type="train",
        tags=tuple(str(tag)[:LONGEST_TAG] for tag in dict.fromkeys((*data, *grid.tables, *(grid.figures or ())))),
        config={**net, **varied, **config, **told},
    )


def flat_axes(grid: Grid) -> dict[str, str]:
    """Where W&B's config has the value of each axis: under its short name, such as `lr`.

    Where something else is told by that name, it is under the whole key, as W&B calls a part of a nested config.
    """
    return {name: key if name in (*TOLD, *MADE) else name for name, key in grid.axes.items()}


def run_id(grid: Grid, cell: Cell, said: dict[str, Any]) -> str:
    """The id of a run with that config: `table6-residual-56-seed0-1a2b3c4d`.

    A run with another config has another id, so that the rows of the two do not mix.
    """
    return _id(f"{grid.name}-{cell.folder}", digest(said))


def of_ensemble(grid: Grid, ensemble: Ensemble, found: dict[str, Any]) -> Entry:
    """The entry of an ensemble whose errors are `found`. Its run in W&B has a summary and no curve."""
    said = {"grid": grid.name, "ensemble": ensemble.name, "cells": list(ensemble.cells), "protocol": ensemble.protocol}
    what = json.dumps([said, found["runs"], found["finished"]])
    return Entry(
        id=_id(f"{grid.name}-ensemble-{ensemble.name}", what),
        group=grid.name,
        name=ensemble.name,
        job_type="eval",
        tags=(),
        config=said,
    )


def _id(name: str, what: str) -> str:
    tail = hashlib.sha256(f"{name} {what}".encode()).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9._-]', '_', name)[: LONGEST_ID - 9]}-{tail}"
