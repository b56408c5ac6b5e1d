"""How far the runs are, read from their folders: quick enough for a login node, and without torch."""

import time
from pathlib import Path
from typing import Any

from rich.table import Table

from lit_resnet.ablation.grid import Cell, Grid
from lit_resnet.errors import InputError
from lit_resnet.listing import Columns, Row, duration, percent, table
from lit_resnet.runfolder import RunFolder, difference, read_yaml, resumable


def folder(grid: Grid, cell: Cell, root: Path) -> RunFolder:
    """The run folder of one cell."""
    return RunFolder(root / grid.name / cell.folder)


def check_config(grid: Grid, cell: Cell, run: RunFolder) -> None:
    """Refuse a run that was made with other values than the grid says now: a table would mix the two.

    Raises:
        InputError: The first key that differs, with both values.
    """
    if not run.begun() or not run.cell_file.exists():
        return
    if key := difference(placeless(read_yaml(run.cell_file)), placeless(grid.config(cell))):
        raise InputError(
            f"{run.path}: was run with another {key} than {grid.name} says now; move it away, give another --root, or "
            "write the grid as it was"
        )


def placeless(config: dict[str, Any]) -> dict[str, Any]:
    """What makes a run the run it is: not where its data lie; of folders of images the name stays."""
    config = resumable(config)
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("root"), str):
        return config
    root = Path(data["root"]).name if data.get("source") in ("folder", "imagenet") else None
    return config | {"data": data | {"root": root}}


def row(run: RunFolder, name: str, seed: int) -> Row:
    """One run's line.

    A run that says `running` while nobody holds its lock died: it is `stopped`, and the next launch continues it.

    Raises:
        InputError: Its status.json is damaged.
    """
    status = run.status()
    state: str = status.state
    if run.summary_file.exists():
        state = "done"
    elif (state == "running" and not run.in_use()) or (state == "queued" and status.step > 0):
        state = "stopped"
    left = None
    if state == "running" and 0 < status.step < status.max_steps:
        left = status.elapsed / status.step * (status.max_steps - status.step)
    return {
        "cell": name,
        "seed": seed,
        "state": state,
        "step": status.step,
        "max_steps": status.max_steps,
        "train_error": status.train_error,
        "test_error": status.test_error,
        "elapsed": status.elapsed,
        "seconds_left": left,
        "attempts": status.attempts,
        "silent": None if status.heartbeat is None else round(time.time() - status.heartbeat, 1),
        "note": status.error or "",
    }


def rows(grid: Grid, root: Path) -> list[Row]:
    """A line for every cell of the grid, in its order."""
    return [row(folder(grid, cell, root), cell.name, cell.seed) for cell in grid.cells]


def runs_below(root: Path) -> list[Row]:
    """A line for every run folder below `root`, whatever grid it came from."""
    found = []
    for path in sorted(root.glob("*/*/status.json")):
        name, _, seed = path.parent.name.rpartition("-seed")
        found.append(
            row(RunFolder(path.parent), f"{path.parent.parent.name}/{name}", int(seed) if seed.isdigit() else 0)
        )
    return found


COLUMNS: Columns = {
    "cell": lambda r: r["cell"],
    "seed": lambda r: str(r["seed"]),
    "state": lambda r: r["state"],
    "iteration": lambda r: f"{r['step']:,}/{r['max_steps']:,}" if r["max_steps"] else "–",
    "train error %": lambda r: percent(r["train_error"]),
    "test error %": lambda r: percent(r["test_error"]),
    "time": lambda r: duration(r["elapsed"]) if r["elapsed"] else "–",
    "left": lambda r: duration(r["seconds_left"]),
    "note": lambda r: r["note"],
}


def overview(found: list[Row]) -> str:
    """`quickstart: 3 of 4 done, 1 running`, without the name."""
    states = [r["state"] for r in found]
    others = {state: states.count(state) for state in ("running", "stopped", "failed", "queued")}
    return ", ".join([f"{states.count('done')} of {len(states)} done"] + [f"{n} {s}" for s, n in others.items() if n])


def live_table(title: str, found: list[Row], most: int = 30) -> Table:
    """The table to watch: of a large grid the runs that are under way or failed, before the rest."""
    order = ("running", "failed", "stopped", "queued", "done")
    shown = found if len(found) <= most else sorted(found, key=lambda r: order.index(r["state"]))[:most]
    more = f" (the first {most} of {len(found)})" if len(found) > most else ""
    return table(shown, COLUMNS, f"{title}{more}")
