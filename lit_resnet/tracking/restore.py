"""Run folders of a grid made from what W&B has of it, for a report on a machine without the folders."""

import json
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lit_resnet.errors import InputError
from lit_resnet.files import write_whole
from lit_resnet.grid import ensembles
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Ensemble, Grid
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import ANALYSES, Record, metrics
from lit_resnet.runfolder.status import Status
from lit_resnet.runfolder.summary import parse, trained_with
from lit_resnet.sameness import digest
from lit_resnet.task import Task
from lit_resnet.tracking import entry, session
from lit_resnet.tracking.session import STEP

if TYPE_CHECKING:
    from wandb.apis.public import Run

AT_A_TIME = 8  # downloads


def restore(asked: Asked, source: str) -> Asked:
    """Make the run folders of a grid from `source`, `wandb:ENTITY/PROJECT`; what has not changed since is kept.

    Returns:
        The same grid under their root, which is below that of `asked`; for `report.write`.

    Raises:
        InputError: No such grid or project, nothing of the grid in it, or the user is not logged in.
        Unreachable: The server does not answer, or does not take the key.
    """
    kind, _, project = source.partition(":")
    if kind != "wandb" or not re.fullmatch(r"[\w.-]+/[\w.-]+", project) or ".." in project:
        raise InputError(f"--from {source}: write wandb:ENTITY/PROJECT")
    grid, below = asked.grid, asked.root / "from-wandb" / project
    with session.reaching(), ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            runs = list(session.reader().runs(project, filters={"group": grid.name}, per_page=200))
        except ValueError:
            raise InputError(f"--from {source}: no such project, or not for you") from None
        if not runs:
            raise InputError(f"--from {source}: no runs of {grid.name} (group {grid.name}) there")
        made = [
            pool.submit(_make, _chosen(grid, cell, runs), RunFolder(below / grid.name / cell.folder), grid.task)
            for cell in grid.cells
        ]
        for one in made:
            one.result()
        for ensemble in grid.ensembles:
            _make_ensemble(grid, ensemble, runs, below)
    return replace(asked, root=below)


def _chosen(grid: Grid, cell: Cell, runs: list["Run"]) -> "Run | None":
    """The run of a cell; of several with different configs the one with the grid's config, or else the newest."""
    fitting = [run for run in runs if (run.config.get("cell"), run.config.get("seed")) == (cell.name, cell.seed)]
    exact = [run for run in fitting if run.id == entry.run_id(grid, cell, grid.config(cell))]
    return max(exact or fitting, key=lambda run: run.created_at, default=None)


def _make(run: "Run | None", folder: RunFolder, task: Task) -> None:
    """The folder of a run, as training would have left it, as far as a report reads it.

    Raises:
        InputError: W&B has no whole summary of a run that is done.
    """
    mark = folder.path / "wandb.txt"
    summary = _summary(run) if run else {}
    now = f"{run.id} {summary.get('mirror')} {run.lastHistoryStep}" if run else ""
    if run and mark.exists() and mark.read_text(encoding="utf-8") == now:
        return
    shutil.rmtree(folder.path, ignore_errors=True)
    if not run:
        return
    folder.path.mkdir(parents=True)
    said = run.config.get("said") or {}
    write_whole(folder.cell_file, yaml.safe_dump(said, sort_keys=False))
    record = metrics(task)
    logged = [_row(record, row) for row in run.scan_history() if row.get(STEP) is not None]
    record.replace(folder.path, logged)
    evaluations = {key.partition("/")[2]: value for key, value in summary.items() if key.startswith("evaluation/")}
    if evaluations:
        write_whole(folder.evaluation_file, json.dumps(evaluations))
    for analysis in ANALYSES:
        if rows := _table(run, summary.get(analysis.mirrored or analysis.name)):
            analysis.replace(folder.path, rows)
    state = summary.get("state")
    folder.write_status(
        Status(
            state=state if state in ("done", "failed", "running") else "queued",
            step=max(run.lastHistoryStep, 0),
            attempts=summary.get("attempts") or 0,
            error=summary.get("error"),
            started=run.config.get("started"),
            digest=digest(said),
            task=task.name,
            newest={metric.name: row[metric.name] for metric in task.final for row in logged if metric.name in row},
        )
    )
    if state == "done":
        try:
            folder.write_summary(parse(summary | {"config": trained_with(run.config)}))
        except ValueError as error:
            raise InputError(f"W&B: the summary of {run.id} is {error}; upload the run again, or delete it") from None
    write_whole(mark, now)


def _make_ensemble(grid: Grid, ensemble: Ensemble, runs: list["Run"], root: Path) -> None:
    """Write the errors of the newest ensemble of that name; a report takes them if the grid still has its runs."""
    fitting = [run for run in runs if run.config.get("ensemble") == ensemble.name]
    if newest := max(fitting, key=lambda run: run.created_at, default=None):
        ensembles.write(grid, ensemble, root, _summary(newest))


def _summary(run: "Run") -> dict[str, Any]:
    """A run's summary without what W&B's client adds of its own."""
    return {key: value for key, value in run.summary_metrics.items() if not key.startswith("_")}


def _row(record: Record, row: dict[str, Any]) -> dict[str, float]:
    """A row of metrics.csv. W&B makes 90 of 90.0."""
    values = {name: float(row[name]) for name in record.values if row.get(name) is not None}
    return {**values, "step": int(row[STEP])}


def _table(run: "Run", said: Any) -> list[dict[str, Any]]:
    """The rows of a logged table; none if there is no such table."""
    if not isinstance(said, dict) or not re.fullmatch(r"media/table/[\w.-]+\.json", str(said.get("path"))):
        return []
    with (
        tempfile.TemporaryDirectory() as folder,
        run.file(said["path"]).download(root=folder, replace=True) as file,
    ):
        table = json.load(file)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
