"""A grid of ten thousand cells: how long its plan takes, and the status of its run folders.

    python benchmarks/scale.py --cells 10000 --rounds 5

Writes a grid of as many different cells (by depth, learning rate, weight decay and seed) and a finished run folder for
each in a temporary folder. `plan` is timed in one process after its import, which is told apart; `status` is timed as a
command, from the start of Python to its last line. Medians and the extremes of the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from lit_resnet.ablation.grid import Grid, load
from lit_resnet.runfolder import RunFolder, Status
from lit_resnet.sameness import digest

PLAN_SECONDS, STATUS_SECONDS = 5, 3

TIMED_PLAN = """
import json, sys, time
from pathlib import Path
started = time.perf_counter()
import lit_resnet.training.run
from lit_resnet.ablation import plan
from lit_resnet.ablation.grid import load
imported = time.perf_counter()
rows = plan.rows(load(sys.argv[1]), Path(sys.argv[2]))
print(json.dumps([len(rows), imported - started, time.perf_counter() - imported]))
"""


def write_grid(folder: Path, cells: int) -> Grid:
    """A grid of so many cells: a tenth of them differ by seed alone, as they do in a real one."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"data": {"source": "digits", "flip": False}}))
    content = {
        "base": "recipe.yaml",
        "seeds": list(range(10)),
        "matrix": {
            "model.net.depth": [8, 14, 20, 26, 32],
            "model.net.shortcut": {"plain": "none", "residual": "A"},
            "model.lr": [round(0.01 * k, 2) for k in range(1, 11)],
            "model.weight_decay": [round(1e-5 * k, 5) for k in range(1, cells // 1000 + 1)],
        },
    }
    (folder / "large.yaml").write_text(yaml.safe_dump(content))
    return load(str(folder / "large.yaml"))


def write_runs(grid: Grid, root: Path) -> None:
    """A folder of a finished run for each cell."""
    summary = {
        **{"net": "ResNet-20", "family": "cifar", "shortcut": "A", "data": "digits", "depth": 20, "params": 269722},
        **{
            "macs": 10**7,
            "steps": 64000,
            "batch_size": 128,
            "test_error": 8.0,
            "train_error": 0.1,
            "wall_seconds": 9e3,
        },
    }
    for cell in grid.cells:
        run = RunFolder(root / grid.name / cell.folder)
        run.path.mkdir(parents=True)
        config = grid.config(cell)
        run.cell_file.write_text(yaml.safe_dump(config))
        run.write_summary(summary)
        run.write_status(Status("done", 64000, 64000, attempts=1, elapsed=9e3, digest=digest(config)))


def timed(command: list[str]) -> float:
    """Seconds of a command whose output nobody reads."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def told(name: str, seconds: list[float], most: float) -> None:
    print(
        f"{name}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}); wanted: under {most}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000, help="a multiple of 1000 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, root = Path(place), Path(place) / "runs"
        grid = write_grid(folder, args.cells)
        path = str(folder / "large.yaml")
        plans = []
        for _ in range(args.rounds):
            said = subprocess.run([sys.executable, "-c", TIMED_PLAN, path, str(root)], check=True, capture_output=True)
            plans.append(json.loads(said.stdout))
        print(f"{len(grid.cells)} cells, {os.cpu_count()} cores, medians of {args.rounds} rounds")
        print(f"import of torch and lightning: {statistics.median(p[1] for p in plans):.1f} s")
        told("plan, nothing run yet", [p[2] for p in plans], PLAN_SECONDS)
        write_runs(grid, root)
        status = [sys.executable, "-m", "lit_resnet", "status"]
        for name, more in (
            ("status GRID", [path]),
            ("status GRID --format csv", [path, "--format=csv"]),
            ("status", []),
        ):
            told(name, [timed([*status, *more, "--root", str(root)]) for _ in range(args.rounds)], STATUS_SECONDS)
        said = subprocess.run([sys.executable, "-c", TIMED_PLAN, path, str(root)], check=True, capture_output=True)
        told("plan, all runs finished (one round)", [json.loads(said.stdout)[2]], PLAN_SECONDS)


if __name__ == "__main__":
    main()
