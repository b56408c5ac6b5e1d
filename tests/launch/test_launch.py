"""`lit-resnet launch` as a user sees it: real processes, stopped and killed at random moments."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from lab import METRICS
from PIL import Image
from slurm_rig import Rig

from lit_resnet.cli import main
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES

RECIPE = {
    "model": {"net": {"depth": 8}, "rate": {"milestones": [180, 270]}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 16},
    "trainer": {"max_steps": 360, "val_check_interval": 120, "log_every_n_steps": 24, "accelerator": "cpu"},
}
MATRIX = {"model.net.shortcut": {"plain": "none", "residual": "A"}}
SEEDS = [0, 1]
CELLS = [f"{kind}-seed{seed}" for kind in ("plain", "residual") for seed in SEEDS]


def write_grid(folder: Path, **content) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({"base": "recipe.yaml", **content}, sort_keys=False))
    return path


def start(grid: Path, root: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "lit_resnet", "launch", str(grid), "--root", str(root), "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal gives it
    )


def steps_done(root: Path) -> int:
    return sum(RunFolder(path.parent).status().step for path in root.glob("tiny/*/status.json"))


def wait_for_progress(launch: subprocess.Popen, root: Path, more: int) -> None:
    """Until the runs have gone `more` iterations further than now."""
    goal = steps_done(root) + more
    while steps_done(root) < goal:
        assert launch.poll() is None, launch.communicate()[1]
        time.sleep(0.05)


def fork_server(launch: int) -> int:
    """Process id of the fork server of a launch."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launch and b"forkserver" in path.read_bytes():
                return int(path.parent.name)
    pytest.skip("no /proc to find the fork server in")


def wait_until(ready: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def numbers(root: Path) -> dict:
    """All that must be the same, bit for bit, however often the launch was disturbed."""
    found = {}
    for cell in CELLS:
        run = RunFolder(root / "tiny" / cell)
        rows = [{k: v for k, v in row.items() if k != "images_per_second"} for row in METRICS.read(run.path)]
        weights = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        summary = run.summary()
        found[cell] = (
            rows,
            RESPONSES.read(run.path),
            {name: value.numpy().tobytes() for name, value in weights.items()},
            (summary.metrics, summary.steps),
        )
    return found


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """The root of a local launch that nothing disturbed."""
    folder = tmp_path_factory.mktemp("calm")
    launch = start(write_grid(folder / "grids", matrix=MATRIX, seeds=SEEDS), folder / "runs")
    out, err = launch.communicate()
    assert launch.returncode == 0, err
    assert "plain-8" in out
    assert "ResNet-8" in out
    assert (folder / "runs" / "tiny" / "report" / "index.html").exists()
    return folder / "runs"


@pytest.mark.timeout(600)
def test_a_grid_that_was_stopped_and_killed_ends_like_one_that_was_not(calm: Path, tmp_path: Path):
    grid, rough = write_grid(tmp_path / "grids", matrix=MATRIX, seeds=SEEDS), tmp_path / "rough"
    seed = random.randrange(10**6)
    print(f"moments from seed {seed}")  # pytest shows it if this fails
    moment = random.Random(seed)
    # The moments leave a third of the grid's 1,440 iterations: runs go on a while between a signal and their end.
    latest = 220
    # Ctrl-C in the terminal: every process of the group gets it.
    launch = start(grid, rough)
    wait_for_progress(launch, rough, moment.randint(1, latest))
    os.killpg(launch.pid, signal.SIGINT)
    _, err = launch.communicate(timeout=60)
    assert launch.returncode == 130, err
    assert "continues where it was" in err
    # kill -9 of the fork server, which the kernel likes to kill: its runs live on, and others begin after them. Then
    # kill -9 of the launcher alone: its runs save and stop by themselves.
    launch = start(grid, rough)
    wait_for_progress(launch, rough, moment.randint(1, latest))
    os.kill(fork_server(launch.pid), signal.SIGKILL)
    wait_for_progress(launch, rough, 300)
    launch.kill()
    _, err = launch.communicate()
    assert "failed" not in err
    # kill -9 of everything: the runs go back to their last checkpoints.
    launch = start(grid, rough)
    wait_for_progress(launch, rough, moment.randint(1, latest))
    os.killpg(launch.pid, signal.SIGKILL)
    launch.communicate()
    # When few runs are left they go on as they began, though a core may be free then; and of two launchers at once each
    # runs what the other does not.
    for cell in CELLS[:-3]:
        shutil.rmtree(rough / "tiny" / cell, ignore_errors=True)
        shutil.copytree(calm / "tiny" / cell, rough / "tiny" / cell)
    shutil.rmtree(rough / "tiny" / CELLS[-2], ignore_errors=True)
    shutil.rmtree(rough / "tiny" / CELLS[-3], ignore_errors=True)
    both = [start(grid, rough), start(grid, rough)]
    for launch in both:
        _, err = launch.communicate()
        assert launch.returncode == 0, err
    assert numbers(rough) == numbers(calm)
    assert [RunFolder(rough / "tiny" / cell).status().attempts for cell in CELLS[-3:-1]] == [1, 1], "none is run twice"


@pytest.mark.timeout(600)
def test_a_grid_on_slurm_that_is_disturbed_ends_like_a_local_one_that_was_not(
    slurm: Rig, calm: Path, checked_here: None, tmp_path: Path, capsys
):
    """Two tasks of two runs, side by side: requeued, killed, without a node for a while, out of time."""
    cluster = {"cpus": 1, "runs_per_job": 2, "runs_per_gpu": 2}
    grid, root = write_grid(tmp_path / "grids", matrix=MATRIX, seeds=SEEDS, cluster=cluster), tmp_path / "runs"
    command = ["launch", str(grid), "--on", "slurm", "--root", str(root)]
    assert main(command) == 0
    job = capsys.readouterr().out.strip()
    assert main(["status", str(grid), "--root", str(root), "--format", "csv"]) == 0
    assert f"{job}_1" in capsys.readouterr().out
    assert main(command) == 0
    assert capsys.readouterr().out == "", "all is in the queue: nothing is submitted twice"

    tasks = next((root / "tiny" / "slurm").glob("*/cells.txt")).read_text().splitlines()

    def running(task: int) -> list[RunFolder]:
        runs = [RunFolder(root / "tiny" / name) for name in tasks[task].split()]
        return [run for run in runs if run.status().state == "running" and run.status().step > 20]

    def about(task: int, what: str) -> str:
        return re.search(rf"\b{what}=(\S+)", slurm.run("scontrol", "show", "job", f"{job}_{task}"))[1]

    wait_until(lambda: len(running(0)) == 2)
    slurm.run("scancel", "--signal=USR1", f"{job}_0")  # what Slurm sends before the time is over
    wait_until(lambda: len(running(1)) == 2)
    slurm.run("scontrol", "requeue", f"{job}_1")
    wait_until(lambda: int(about(0, "Restarts")) == 1)
    wait_until(lambda: int(about(1, "Restarts")) == 1 and running(1))
    node, victim = about(1, "BatchHost"), running(1)[0]
    slurm.kill_node(node)
    os.kill(victim.status().pid, signal.SIGKILL)
    wait_until(lambda: victim.status().deaths == 1)
    slurm.start_node(node)

    wait_until(lambda: not slurm.run("squeue", "-h").strip(), seconds=300)
    printed = "".join(path.read_text() for path in (root / "tiny" / "slurm").glob("*/*.txt"))
    assert numbers(root) == numbers(calm), printed
    assert (root / "tiny" / "report" / "index.html").exists(), "the last task has written it"


def test_one_failed_cell_fails_alone_and_is_run_again(forked: None, tmp_path: Path, capfd):
    photos = tmp_path / "photos"
    for split in ("train", "test"):
        for name in ("a", "b"):
            (photos / split / name).mkdir(parents=True)
            for i in range(10):
                Image.new("RGB", (8, 8), (i * 20, 100, 50)).save(photos / split / name / f"{i}.png")
    broken = photos / "train" / "a" / "3.png"
    good = broken.read_bytes()
    broken.write_bytes(good[:40])
    grid = write_grid(
        tmp_path / "grids",
        include={
            "digits": {"trainer.max_steps": 20},
            "photos": {"data.source": "folder", "data.root": str(photos), "trainer.max_steps": 20},
        },
    )
    root = tmp_path / "runs"
    command = ["launch", str(grid), "--root", str(root), "--jobs", "2"]
    assert main(command) == 1
    err = capfd.readouterr().err
    assert "photos-seed0: failed" in err
    assert str(broken) in err, "the tail of its log names the file"
    assert "1 failed: photos-seed0" in err
    assert RunFolder(root / "tiny" / "photos-seed0").status().state == "failed"
    done = RunFolder(root / "tiny" / "digits-seed0").summary_file
    before = done.stat().st_mtime_ns

    broken.write_bytes(good)
    assert main(command) == 0
    assert "1 of 2 done" in capfd.readouterr().err
    assert done.stat().st_mtime_ns == before, "a finished cell is not run again"
    assert RunFolder(root / "tiny" / "photos-seed0").status().attempts == 2


def test_a_wrong_cell_is_refused_before_anything_starts(forked: None, tmp_path: Path, capsys):
    grid = write_grid(tmp_path / "grids", matrix={"model.net.dpeth": [20]})
    assert main(["launch", str(grid), "--root", str(tmp_path / "runs")]) == 2
    message = "lit-resnet: tiny, cell dpeth=20: unknown key model.net.dpeth; did you mean model.net.depth?"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
