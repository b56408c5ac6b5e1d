"""Plans: every cell of a grid checked, with its net, parameters, multiply-adds, and the time that it may take."""

import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_resnet.errors import InputError
from lit_resnet.files import clock
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.cells import SEED, Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.launch import reuse
from lit_resnet.launch.planned import Planned, expected, measured
from lit_resnet.listing import Columns, Row, count, duration, memory
from lit_resnet.runfolder.folder import RunFolder

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from lit_resnet.probes.complexity import Complexity
    from lit_resnet.run.config import RunCLI

TIMED_DEPTH = 200  # layers of the deepest net that is timed; deeper ones need more memory than a plan should take
TIMED_SECONDS = 10.0  # after which a step is not timed again
TIMED_MACS = {"cpu": 20 * 10**9, "cuda": 10**12}  # of a timed step; its time is scaled up to the whole batch

# By the configs of the net and of a detector on it, and the shape of its images; with the multiply-adds in training.
Counted = dict[tuple[Any, str, tuple[int, int, int]], tuple["Complexity", int]]


def check(grid: Grid) -> list[Planned]:
    """Parse and check the config of every cell. Imports torch and lightning (15 s of CPU).

    Raises:
        InputError: A cell is wrong; the message names the first such cell, the key, and what to write instead.
    """
    from lit_resnet.run.config import RunCLI

    configs = Configs(grid, RunCLI({"task": grid.task.name}))
    planned: list[Planned] = []
    counted: Counted = {}
    for cell in grid.cells:
        if planned and planned[-1].cell.name == cell.name:  # only its seed differs
            planned.append(replace(planned[-1], cell=cell))
            continue
        try:
            planned.append(_planned(cell, configs.read(cell), counted))
        except InputError as error:
            raise InputError(f"{grid.name}, cell {cell.name}: {error}") from None
    return planned


def _planned(cell: Cell, cli: "RunCLI", counted: Counted) -> Planned:
    """Check a cell, whose config `cli` has read; a net that is not in `counted` yet is counted."""
    import torch

    from lit_resnet.probes.complexity import complexity

    data, net = cli.check()
    devices, num_nodes = cli.devices()
    key = (net, str(cli.config.model.get("detector")), data.image_shape)
    if key not in counted:
        with torch.device("meta"):  # drawing the weights of a large net takes seconds
            module = cli.module()
        found = complexity(module.net, data.image_shape)
        counted[key] = found, module.trained_macs(data.image_shape, found.macs)
    counts, trained_macs = counted[key]
    trainer = cli.config.trainer
    return Planned(
        cell=cell,
        net=str(net),
        net_config=asdict(net),
        data=data.name,
        params=counts.params,
        macs=counts.macs,
        trained_macs=trained_macs,
        passes=4 if cli.config.model.get("speed.recompute") else 3,
        max_steps=trainer.max_steps,
        tested=data.known_evaluated() * (trainer.max_steps // trainer.val_check_interval),
        batch_size=data.batch_size,
        image_shape=data.image_shape,
        devices=devices,
        num_nodes=num_nodes,
        gpu=trainer.accelerator != "cpu",
    )


class Configs:
    """The parsed configs of a grid's cells, one at a time.

    The parser takes 15 ms for a whole config, too long for each of ten thousand cells. As it reads each key by itself,
    the base is parsed once, each value of a key once, and a cell's values then replace the base's.
    """

    def __init__(self, grid: Grid, cli: "RunCLI") -> None:
        self.grid, self.cli = grid, cli
        self.values: dict[str, Any] = {}
        try:
            self.base = self._whole({})
            self.config = self.base.clone()
        except InputError:  # the base alone; with the values of a cell it may be right
            self.base = None
        self.own: set[str] = set()  # keys whose values in `config` are not the base's

    def read(self, cell: Cell) -> "RunCLI":
        """The command line with this cell's config, until the next one is read.

        Raises:
            InputError: A key or a value is wrong.
        """
        if self.base is not None and all(key in self.cli.keys for key in cell.overrides):
            with suppress(InputError):  # below, the parser reads the whole config, for its own message
                self._compose(self.base, cell)
                return self.cli
        self.cli.read(self.grid.config(cell))
        return self.cli

    def _compose(self, base: "Namespace", cell: Cell) -> None:
        said = self.grid.said(cell)
        values = {key: self._value(key, said[key]) for key in cell.overrides} | {SEED: cell.seed}
        for key in self.own - values.keys():
            self.config[key] = base[key]
        for key, value in values.items():
            self.config[key] = value
        self.own, self.cli.config = set(values), self.config

    def _value(self, key: str, value: Any) -> Any:
        name = f"{key}={value!r}"
        if name not in self.values:
            read = self.cli.value(key, value)
            self.values[name] = read if _plain(read) else self._whole({key: value})[key]
        return self.values[name]

    def _whole(self, overrides: dict[str, Any]) -> "Namespace":
        self.cli.read(self.grid.config(Cell("", 0, overrides)))
        return self.cli.config


def _plain(value: Any) -> bool:
    """Whether a value is complete by itself. A `class_path` is not: its defaults come with the whole config."""
    return (
        all(map(_plain, value))
        if isinstance(value, list | tuple)
        else value is None or type(value) in (bool, int, float, str)
    )


def rows(grid: Grid, root: Path) -> list[Row]:
    """A line for each cell: its net and training, its state, and the seconds that it takes (or took, if it is done).

    A cell that another grid has finished counts as done, as a launch takes it from there.
    """
    runs = _taken(grid, root)
    planned = check(grid)
    took = [run.summary() for run in runs]
    seconds = expected(measured(planned, took) or _timed(grid, planned))
    now = clock(root)
    found = [status.row(run, cell.name, cell.seed, now) for run, cell in zip(runs, grid.cells, strict=True)]
    lacks = cache(status.lacks_start)  # many cells start from one run
    return [
        {
            "cell": p.cell.name,
            "seed": p.cell.seed,
            "params": p.params,
            "macs": p.macs,
            "max_steps": p.max_steps,
            "state": row["state"],
            "net": p.net,
            "data": p.data,
            "batch_size": p.batch_size,
            "devices": p.devices * p.num_nodes,
            "training_macs": p.training_macs,
            "memory": memory,
            "seconds": round(summary.wall_seconds if summary else seconds(p) * p.max_steps, 1),
            "start": grid.start_name(p.cell),
            "start_lacks": None if run.begun() else lacks(grid.start_path(p.cell)) or None,
        }
        for p, run, row, memory, summary in zip(planned, runs, found, status.known_memory(found), took, strict=True)
    ]


def _taken(grid: Grid, root: Path) -> list[RunFolder]:
    """The run folder of each cell; the one of another grid where only that grid has finished the cell.

    Raises:
        InputError: A run was made with another config than the grid says now.
    """
    runs = [status.folder(grid, cell, root) for cell in grid.cells]
    missing = (cell for cell, run in zip(grid.cells, runs, strict=True) if not run.path.exists())
    elsewhere = reuse.finished_elsewhere(grid, missing, root)
    runs = [elsewhere.get(run.path.name, run) for run in runs]
    for cell, run in zip(grid.cells, runs, strict=True):
        status.check_config(grid, cell, run)
    return runs


def _timed(grid: Grid, planned: list[Planned]) -> dict[int, float]:
    """Seconds of one iteration by its multiply-adds, for the smallest and the largest net, timed on this machine.

    With the share of the evaluations in it, as measured ones have.
    """
    within = [p for p in planned if p.net_config.get("depth", 0) <= TIMED_DEPTH] or planned
    by_size = sorted(within, key=lambda p: p.step_macs)
    return {p.step_macs: _time_step(grid, p) * p.with_tests for p in (by_size[0], by_size[-1])}


def _time_step(grid: Grid, planned: Planned) -> float:
    """Seconds of an iteration of this cell here, on random images: the shortest of a few, as other work may disturb.

    A CPU uses one thread, as a run does where there are as many runs as cores. A large net is timed on a part of the
    batch, which saves time and memory.
    """
    import torch

    from lit_resnet.probes import timing
    from lit_resnet.probes.device import gpu_or_cpu
    from lit_resnet.run.config import RunCLI

    device = gpu_or_cpu()
    torch.set_num_threads(1)
    module = RunCLI(grid.config(planned.cell)).module().to(device)
    optimizer = module.configure_optimizers()
    part = min(planned.batch_size, max(2, TIMED_MACS[device.type] // (planned.passes * planned.trained_macs)))
    batch = module.example(part, planned.image_shape)
    times: list[float] = []
    while not times or (len(times) < 3 and sum(times) < TIMED_SECONDS) or (len(times) < 20 and sum(times) < 0.5):
        start = time.perf_counter()
        timing.step(lambda: module.loss(batch)[0], optimizer)
        timing.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times) * planned.batch_size / part


def commands(asked: Asked, grid: Grid) -> list[str]:
    """The command line of each run of `grid` that is not done (see `rows`), for a scheduler that has no launcher here.

    Args:
        asked: The whole grid, as the command lines say it.
        grid: The cells that are wanted.

    Raises:
        InputError: A cell is wrong, or a run folder is damaged.
    """
    check(grid)
    runs = _taken(grid, asked.root)
    return [asked.command("run", cell.folder) for cell, run in zip(grid.cells, runs, strict=True) if not run.summary()]


STARTS = "starts from"
COLUMNS: Columns = {
    "cell": lambda r: r["cell"],
    "seed": lambda r: str(r["seed"]),
    "net": lambda r: r["net"],
    STARTS: lambda r: r["start"] or "",
    "parameters": lambda r: count(r["params"]),
    "MFLOPs/image": lambda r: f"{r['macs'] / 1e6:,.2f}",
    "iterations": lambda r: count(r["max_steps"]),
    "training PFLOPs": lambda r: f"{r['training_macs'] / 1e15:,.3g}",
    "memory": lambda r: memory(r["memory"]),
    "state": lambda r: r["state"],
    "time": lambda r: duration(r["seconds"]),
}
EXPENDABLE = ("memory", "training PFLOPs", "net", STARTS, "MFLOPs/image", "state")  # in a narrow terminal


def columns(rows: list[Row]) -> Columns:
    """Those of a table of these rows: what cells start from has one where some start from trained weights."""
    started = any(row["start"] for row in rows)
    return {heading: text for heading, text in COLUMNS.items() if started or heading != STARTS}
