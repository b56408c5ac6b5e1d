"""How far the runs are, read from their folders: quick enough for a login node, and without torch."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

from rich.table import Table

from lit_resnet.errors import InputError
from lit_resnet.files import clock, read_yaml
from lit_resnet.grid import axes
from lit_resnet.grid.axes import Axis
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.listing import Columns, Row, duration, table
from lit_resnet.metrics import Metric, listed
from lit_resnet.moved import check_keys
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.start import absent, started_otherwise
from lit_resnet.runfolder.status import Status
from lit_resnet.sameness import digest, otherwise, same_run
from lit_resnet.task import TASKS, Task

STALLED_SECONDS = 300  # without a sign of life
SKEW_SECONDS = 60  # between the clocks of two machines


@dataclass(frozen=True)
class Queued:
    """A run in the queue of a launcher.

    Args:
        id: Id of the job that has the run, which `cancel` takes.
        started: Whether the job has begun.
        node: The machine that it runs on; the empty string while it waits.
        note: The state of the job in words for people: `pending (Resources)`.
    """

    id: str
    started: bool
    node: str
    note: str


def folder(grid: Grid, cell: Cell, root: Path) -> RunFolder:
    """The run folder of one cell."""
    return RunFolder(root / grid.name / cell.folder)


def check_config(grid: Grid, cell: Cell, run: RunFolder) -> None:
    """Refuse a run that was made with other values than the grid says now: a table would mix the two.

    Raises:
        InputError: The first key that differs, with both values; or the run's summary is of another run.
    """
    if not run.begun():
        return
    if key := differs(grid, cell, run):
        file = run.cell_file if run.cell_file.exists() else run.config_file
        check_keys(read_yaml(file), file)
        raise InputError(
            f"{run.path}: was run with another {key} than {grid.name} says now; move it away, give another --root, or "
            "write the grid as it was"
        )
    found = run.summary()
    started, path = (found or run.status()).start, grid.start_path(cell)
    if started and path and (words := started_otherwise(started, path)):
        raise InputError(f"{run.path}: {words}; put those weights back, move the run away, or give another --root")
    if found:
        of_status = run.status().max_steps
        other = f"steps {found.steps}, not {of_status:.0f}" if of_status not in (0, found.steps) else ""
        if other := found.contradiction(grid.config(cell)) or other:
            raise run.wrong_summary(f"is of another run ({other})")


def lacks_start(path: str | None) -> str:
    """Why a cell cannot start from the weights at its `Grid.start_path`; empty where it can, or from fresh ones."""
    try:
        return "" if path is None else absent(path)
    except InputError as error:
        return f"damaged ({error})"


def differs(grid: Grid, cell: Cell, run: RunFolder) -> str:
    """The first key in which a run's config differs from what the grid says now, with both values; or empty.

    A run that no launch has made has no cell.yaml: then what the grid says must be so in its config.yaml, which is
    complete.

    Raises:
        InputError: The run's cell.yaml, config.yaml or status.json is damaged.
    """
    config = grid.config(cell)
    if run.status().digest == digest(config):  # quicker than YAML
        return ""
    if run.cell_file.exists():
        return same_run(read_yaml(run.cell_file), config)
    return otherwise(run.config(), config) if run.config_file.exists() else ""


def known_memory(found: list[Row]) -> list[int | None]:
    """Peak bytes that each cell is known to need: its own, else the most of its other seeds; None if unknown."""
    most: dict[str, int] = {}
    for r in found:
        most[r["cell"]] = max(most.get(r["cell"], 0), r["memory"] or 0)
    return [r["memory"] or most[r["cell"]] or None for r in found]


def row(
    run: RunFolder, name: str, seed: int | None, now: float, job: Queued | None = None, task: Task | None = None
) -> Row:
    """One run's line.

    A run that says `running` while nobody holds its lock died: it is `stopped`, and goes on with the next launch, or
    with its job's next turn.

    Args:
        run: Its folder.
        name: Its cell.
        seed: Its seed; None where its folder does not say it.
        now: The time by the `clock` of the file system.
        job: Its entry in a queue; None where it has none.
        task: Its task; None for the one in its status, which a run that has not begun does not know.

    Raises:
        InputError: Its status.json is damaged.
    """
    status = run.status()
    task = task or TASKS[status.task]
    state, note, left, silent = str(status.state), status.error or "", None, run.silent(now)
    if run.summary_file.exists():
        state, note = "done", ""
    elif state == "running" and silent is not None and run.in_use():
        if 0 < status.step < status.max_steps:
            left = status.elapsed / status.step * (status.max_steps - status.step)
            state = "stalled" if silent > STALLED_SECONDS else state
        note = _clock_note(status, now - silent)
    elif state != "failed":
        state = "cancelled" if run.cancelled else "stopped" if status.attempts or state == "running" else "queued"
        if lost := run.lost:
            note = f"was taken from {lost.parent.name}, where it is no more"
        if job:
            state, note = "starting" if job.started else "queued", f"job {job.id} {job.note}"
    return {
        "cell": name,
        "seed": seed,
        "state": state,
        "step": status.step,
        "max_steps": status.max_steps,
        "task": task.name,
        **{metric.name: status.newest.get(metric.name) for metric in task.final},
        "elapsed": status.elapsed,
        "seconds_left": left,
        "attempts": status.attempts,
        "silent": None if silent is None else round(silent, 1),
        "host": job.node if job and job.node else status.host,
        "job": job.id if job else status.job,
        "memory": status.peak_memory_bytes,
        "note": note,
    }


def _clock_note(status: Status, written: float) -> str:
    """A note where the clock of a run's machine differs from that of the file system; else the empty string."""
    ahead = (status.heartbeat or written) - written
    if abs(ahead) < SKEW_SECONDS:
        return ""
    return f"the clock of {status.host} is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"


def rows(grid: Grid, root: Path, jobs: Mapping[str, Queued] = MappingProxyType({})) -> list[Row]:
    """A line for every cell of the grid, in its order, with its values on the axes of the grid.

    Args:
        grid: The grid.
        root: Its runs are in `<root>/<grid>/`.
        jobs: Queued runs by the names of their folders.
    """
    now, varied, found = clock(root), axes.read(grid, root), []
    lacks = cache(lacks_start)  # many cells start from one run
    for cell in grid.cells:
        run = row(folder(grid, cell, root), cell.name, cell.seed, now, jobs.get(cell.folder), grid.task)
        if run["state"] == "queued" and not run["note"] and (why := lacks(grid.start_path(cell))):
            run["note"] = f"starts from {grid.start_name(cell)}: {why}"
        values = {name: axis.plain[cell.name] for name, axis in axes.columns(varied, run).items()}
        found.append({"cell": run.pop("cell"), "seed": run.pop("seed"), **values, **run})
    return found


def runs_below(root: Path, jobs: Mapping[tuple[str, str], Queued] = MappingProxyType({})) -> list[Row]:
    """A line for every run folder below `root`, of any grid; `jobs` has queued runs by the names of grid and folder.

    A folder that does not end with a seed, as those of `fit` have digits after it, has its whole name and no seed.
    """
    now, found = clock(root), []
    for path in sorted(root.glob("*/*/status.json")):
        folder, grid = path.parent.name, path.parent.parent.name
        named = re.fullmatch(r"(.+)-seed(\d{1,10})", folder, re.ASCII)
        name, seed = (named[1], int(named[2])) if named else (folder, None)
        found.append(row(RunFolder(path.parent), f"{grid}/{name}", seed, now, jobs.get((grid, folder))))
    keys = list(dict.fromkeys(key for r in found for key in r))  # of tasks with other metrics
    return [{key: r.get(key) for key in keys} for r in found]


def varied(grid: Grid, root: Path) -> dict[str, Axis]:
    """The axes that a table of its runs shows where there is room, by their headings.

    What all cells share tells nothing, and the net is in the names of the cells as a rule.
    """
    return {axis.name: axis for axis in axes.read(grid, root) if axis.varies and not axis.of_the_net}


def columns(found: list[Row], varied: Mapping[str, Axis] = MappingProxyType({})) -> Columns:
    """The columns of such lines for people: with axes of the grid, and the final metrics of the runs' tasks."""
    metrics = listed(dict.fromkeys(metric for r in found for metric in TASKS[r["task"]].final), found)
    return {
        "cell": lambda r: r["cell"],
        "seed": lambda r: "–" if r["seed"] is None else str(r["seed"]),
        **{name: partial(_value, axis) for name, axis in varied.items()},
        "state": lambda r: r["state"],
        "where": lambda r: (r["host"] or "") if r["state"] in ("running", "stalled", "starting") else "",
        "iteration": lambda r: f"{r['step']:,}/{r['max_steps']:,}" if r["max_steps"] else "–",
        **{metric.head: partial(_text, metric) for metric in metrics},
        "time": lambda r: duration(r["elapsed"]) if r["elapsed"] else "–",
        "left": lambda r: duration(r["seconds_left"]),
        "note": lambda r: r["note"],
    }


def expendable(found: list[Row], varied: Iterable[str] = ()) -> tuple[str, ...]:
    """The columns that a narrow terminal can do without: first the axes, and least of all the headline of a task."""
    tasks = [TASKS[name] for name in dict.fromkeys(r["task"] for r in found)]
    others = [metric.head for task in tasks for metric in task.final if metric != task.headline]
    return (*varied, "where", *others, "time", "left", "seed")


def _value(axis: Axis, r: Row) -> str:
    return axis.text(r["cell"])


def _text(metric: Metric, r: Row) -> str:
    return metric.text(r.get(metric.name))


# In the order in which people want to see them.
STATES = ("stalled", "failed", "running", "starting", "stopped", "cancelled", "queued", "done")


def overview(found: list[Row]) -> str:
    """`3 of 4 done, 1 running`."""
    states = [r["state"] for r in found]
    others = {state: states.count(state) for state in STATES[:-1]}
    return ", ".join([f"{states.count('done')} of {len(states)} done"] + [f"{n} {s}" for s, n in others.items() if n])


def foremost(found: list[Row], most: int) -> list[Row]:
    """At most so many runs, by the order of `STATES`; all of them, in their own order, where there are no more."""
    return found if len(found) <= most else sorted(found, key=lambda r: STATES.index(r["state"]))[:most]


def live_table(title: str, found: list[Row], width: int, most: int = 30) -> Table:
    """The table that is refreshed while runs train, for a terminal of that width."""
    more = f" (the first {most} of {len(found)})" if len(found) > most else ""
    return table(foremost(found, most), columns(found), f"{title}{more}", expendable(found), width)
