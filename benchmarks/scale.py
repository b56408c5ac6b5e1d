"""A grid of ten thousand cells: how long its plan takes, and the status of its run folders; and reports of many runs.

    python benchmarks/scale.py --cells 10000 --rounds 5
    python benchmarks/scale.py --report --rounds 3

Writes a grid of as many different cells, and a run folder for each, in a temporary place: a hundred runs are under
way, a hundred died, the rest are finished. `plan` is timed in a process that has imported torch and lightning, before
any run and then; `status` as a command, from the start of Python to its end. Medians of the rounds, and their span.

With `--report`: the CPU seconds of a report of a thousand runs and of two thousand, all finished, with 160 logged rows
each, and the size of its page.
"""

import argparse
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import yaml

from lit_resnet.grid.grid import Grid, load
from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status
from lit_resnet.runfolder.summary import Summary
from lit_resnet.sameness import digest
from lit_resnet.task import CLASSIFICATION

PLAN_SECONDS, STATUS_SECONDS = 5, 3
REPORT_SECONDS, PAGE_MEGABYTES = 10, 5  # of CPU for 2,000 runs; for 1,000
ROWS = 160  # that a run of a report has logged
SOME = 100  # runs under way, and as many that died

METRICS = records.metrics(CLASSIFICATION)
TIMED_PLAN = """
import sys, time
from pathlib import Path
from lit_resnet.launch import plan
from lit_resnet.grid.grid import load
from lit_resnet.probes import complexity
from lit_resnet.run import config
started = time.perf_counter()
plan.rows(load(sys.argv[1]), Path(sys.argv[2]))
print(time.perf_counter() - started)
"""

SUMMARY = Summary(
    net="ResNet-20",
    net_config={"family": "cifar", "depth": 20, "shortcut": "A"},
    data="digits",
    metrics={"train_error": 0.1, "test_error": 8.75, "val_error": None},
    params=269_722,
    macs=40_551_040,
    steps=64_000,
    batch_size=128,
    setting="as in the paper",
    wall_seconds=9e3,
    task="classification",
)


def write_grid(folder: Path, cells: int) -> Path:
    """A grid file of so many cells, no two of which are seeds of one: those cost a plan less."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"data": {"source": "digits", "flip": False}}))
    content = {
        "base": "recipe.yaml",
        "matrix": {
            "model.net.depth": [8, 14, 20, 26, 32],
            "model.net.shortcut": {"plain": "none", "residual": "A"},
            "model.rate.lr": [round(0.001 * k, 3) for k in range(1, 101)],
            "model.sgd.weight_decay": [round(1e-5 * k, 5) for k in range(1, cells // 1000 + 1)],
        },
    }
    (folder / "large.yaml").write_text(yaml.safe_dump(content))
    return folder / "large.yaml"


def write_finished(grid: Grid, root: Path) -> None:
    """A finished run for each cell, whose errors fall noisily to those in its summary."""
    noise = random.Random(0)
    for cell in grid.cells:
        run, config = RunFolder(root / grid.name / cell.folder), grid.config(cell)
        run.path.mkdir(parents=True)
        run.write_status(Status("done", 64_000, 64_000, attempts=1, elapsed=9e3, digest=digest(config)))
        last, rows = {"train_error": noise.uniform(0, 2), "test_error": noise.uniform(7, 10)}, []
        for step in range(400, 64_001, 400):
            fallen = 80 * math.exp(-step / 6000)
            row = {metric: value + fallen * noise.uniform(0.9, 1.1) for metric, value in last.items()}
            rows.append({"step": step, "train_loss": fallen / 40, "lr": 0.1, "images_per_second": 2000.0, **row})
        METRICS.replace(run.path, rows)
        last |= {metric: rows[-1][metric] for metric in last}
        net = {**SUMMARY.net_config, **{key: config["model"]["net"][key] for key in ("depth", "shortcut")}}
        run.write_summary(replace(SUMMARY, net_config=net, metrics={**SUMMARY.metrics, **last}))


def report(runs: int, rounds: int) -> None:
    """Print the CPU seconds of a report of so many runs, and the size of its page."""
    with tempfile.TemporaryDirectory() as place:
        path, root = write_grid(Path(place), runs), Path(place) / "runs"
        grid = load(str(path))
        write_finished(grid, root)

        def seconds() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds_of([sys.executable, "-m", "lit_resnet", "report", str(path), "--root", str(root)])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        measure(f"report of {runs:,} runs, CPU", seconds, rounds, REPORT_SECONDS)
        size = (root / grid.name / "report" / "index.html").stat().st_size / 1e6
        print(f"its page: {size:.1f} MB, wanted for 1,000 runs: at most {PAGE_MEGABYTES}")


def write_runs(grid: Grid, root: Path, under_way: ExitStack) -> None:
    """A run folder for each cell; the locks of those under way are held until `under_way` ends."""
    for i, cell in enumerate(grid.cells):
        run, config = RunFolder(root / grid.name / cell.folder), grid.config(cell)
        run.path.mkdir(parents=True)
        run.cell_file.write_text(yaml.safe_dump(config))
        status = Status("done", 64_000, 64_000, attempts=1, elapsed=9e3, digest=digest(config))
        if i < 2 * SOME:
            status.state, status.step = "running", 32_000
            run.checkpoints.mkdir()
            (run.checkpoints / "last.ckpt").touch()
        else:
            run.write_summary(SUMMARY)
        run.write_status(status)
        if i < SOME:
            under_way.enter_context(run.locked())


def measure(what: str, seconds: Callable[[], float], rounds: int, most: float) -> None:
    """Print the median of some rounds, their span, and what is wanted."""
    taken = [seconds() for _ in range(rounds)]
    span = f"{min(taken):.2f} to {max(taken):.2f}"
    print(f"{what + ':':<36}{statistics.median(taken):6.2f} s ({span}), wanted: under {most}", flush=True)


def seconds_of(command: list[str]) -> float:
    """Of a command, whose output nobody reads."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000, help="a multiple of 1000 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--report", action="store_true", help="reports of 1,000 and 2,000 runs, and nothing else")
    args = parser.parse_args()
    if args.report:
        for runs in (1000, 2000):
            report(runs, args.rounds)
        return
    with tempfile.TemporaryDirectory() as place, ExitStack() as under_way:
        path, root = write_grid(Path(place), args.cells), Path(place) / "runs"
        grid = load(str(path))

        def plan() -> float:
            command = [sys.executable, "-c", TIMED_PLAN, str(path), str(root)]
            return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

        def status(*more: str) -> Callable[[], float]:
            return lambda: seconds_of([sys.executable, "-m", "lit_resnet", "status", *more, "--root", str(root)])

        print(f"{len(grid.cells):,} cells, {os.cpu_count()} cores, {args.rounds} rounds")
        measure("plan GRID, nothing run yet", plan, args.rounds, PLAN_SECONDS)
        write_runs(grid, root, under_way)
        measure(f"plan GRID, {2 * SOME} to go on with", plan, args.rounds, PLAN_SECONDS)
        measure("status GRID", status(str(path)), args.rounds, STATUS_SECONDS)
        measure("status GRID --format csv", status(str(path), "--format", "csv"), args.rounds, STATUS_SECONDS)
        measure("status, of all below --root", status(), args.rounds, STATUS_SECONDS)


if __name__ == "__main__":
    main()
