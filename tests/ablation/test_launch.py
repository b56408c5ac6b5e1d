"""`lit-resnet launch` as a user sees it: real processes, stopped and killed at random moments."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from lit_resnet.runfolder import RunFolder

RECIPE = {
    "model": {"net": {"depth": 8}, "milestones": [800, 1200]},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 16},
    "trainer": {"max_steps": 1600, "val_check_interval": 100, "log_every_n_steps": 40, "accelerator": "cpu"},
}
CELLS = [f"{kind}-seed{seed}" for kind in ("plain", "residual") for seed in (0, 1)]


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


def numbers(root: Path) -> dict:
    """All that must be the same, bit for bit, however often the launch was disturbed."""
    found = {}
    for cell in CELLS:
        run = RunFolder(root / "tiny" / cell)
        rows = [{k: v for k, v in row.items() if k != "images_per_second"} for row in run.metrics()]
        weights = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        summary = run.summary()
        found[cell] = (
            rows,
            run.responses(),
            {name: value.numpy().tobytes() for name, value in weights.items()},
            (summary["train_error"], summary["test_error"], summary["steps"]),
        )
    return found


@pytest.mark.timeout(600)
def test_a_grid_that_was_stopped_and_killed_ends_like_one_that_was_not(tmp_path: Path):
    grid = write_grid(
        tmp_path / "grids", matrix={"model.net.shortcut": {"plain": "none", "residual": "A"}}, seeds=[0, 1]
    )
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    launch = start(grid, calm)
    out, err = launch.communicate()
    assert launch.returncode == 0, err
    assert "plain-8" in out
    assert "ResNet-8" in out
    assert (calm / "tiny" / "report" / "index.html").exists()

    seed = random.randrange(10**6)
    print(f"moments from seed {seed}")  # pytest shows it if this fails
    moment = random.Random(seed)
    # Ctrl-C in the terminal: every process of the group gets it.
    launch = start(grid, rough)
    wait_for_progress(launch, rough, moment.randint(1, 900))
    os.killpg(launch.pid, signal.SIGINT)
    _, err = launch.communicate(timeout=60)
    assert launch.returncode == 130, err
    assert "continues where it was" in err
    # kill -9 of the launcher alone: its runs save and stop by themselves.
    launch = start(grid, rough)
    wait_for_progress(launch, rough, moment.randint(1, 900))
    launch.kill()
    launch.communicate()
    # kill -9 of everything: the runs go back to their last checkpoints.
    launch = start(grid, rough)
    wait_for_progress(launch, rough, moment.randint(1, 900))
    os.killpg(launch.pid, signal.SIGKILL)
    launch.communicate()
    # When one run is left it goes on as it began, though a second core is free now; and of two launchers at once each
    # runs what the other does not.
    for cell in CELLS[:3]:
        shutil.rmtree(rough / "tiny" / cell, ignore_errors=True)
        shutil.copytree(calm / "tiny" / cell, rough / "tiny" / cell)
    both = [start(grid, rough), start(grid, rough)]
    for launch in both:
        _, err = launch.communicate()
        assert launch.returncode == 0, err
    assert numbers(rough) == numbers(calm)


@pytest.mark.timeout(300)
def test_two_launchers_share_a_grid(tmp_path: Path):
    grid = write_grid(tmp_path / "grids", matrix={"trainer.max_steps": [20, 21, 22]}, seeds=[0, 1])
    root = tmp_path / "runs"
    both = [start(grid, root), start(grid, root)]
    for launch in both:
        _, err = launch.communicate()
        assert launch.returncode == 0, err
    runs = [RunFolder(path) for path in sorted((root / "tiny").glob("*-seed*"))]
    assert len(runs) == 6
    assert [run.status().state for run in runs] == ["done"] * 6
    assert [run.status().attempts for run in runs] == [1] * 6, "no cell is run twice"


@pytest.mark.timeout(300)
def test_one_failed_cell_fails_alone_and_is_run_again(tmp_path: Path):
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
    launch = start(grid, root)
    _, err = launch.communicate()
    assert launch.returncode == 1
    assert "photos-seed0: failed" in err
    assert str(broken) in err, "the tail of its log names the file"
    assert "1 failed: photos-seed0" in err
    assert RunFolder(root / "tiny" / "photos-seed0").status().state == "failed"
    done = RunFolder(root / "tiny" / "digits-seed0").summary_file
    before = done.stat().st_mtime_ns

    broken.write_bytes(good)
    launch = start(grid, root)
    _, err = launch.communicate()
    assert launch.returncode == 0, err
    assert "1 of 2 done" in err
    assert done.stat().st_mtime_ns == before, "a finished cell is not run again"
    assert RunFolder(root / "tiny" / "photos-seed0").status().attempts == 2


def test_a_wrong_cell_is_refused_before_anything_starts(tmp_path: Path):
    grid = write_grid(tmp_path / "grids", matrix={"model.net.dpeth": [20]})
    launch = start(grid, tmp_path / "runs")
    _, err = launch.communicate()
    assert launch.returncode == 2
    assert "lit-resnet: tiny, cell 20: unknown key model.net.dpeth; did you mean model.net.depth?" in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()
