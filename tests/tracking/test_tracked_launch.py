"""Launches that W&B is told of: real training, the real client, a stand-in server that is there or not."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
import yaml
from lab import METRICS

from lit_resnet.cli import main
from lit_resnet.runfolder.folder import RunFolder

RECIPE = {
    "model": {"net": {"depth": 8}, "rate": {"milestones": [200, 250]}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 16},
    "trainer": {"max_steps": 300, "val_check_interval": 50, "log_every_n_steps": 25, "accelerator": "cpu"},
}
MATRIX = {"model.net.shortcut": {"plain": "none", "residual": "A"}}


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"base": "recipe.yaml", "matrix": MATRIX, "report": {"figures": ["fig6", "fig7"]}}))
    return path


def rows(root: Path, cell: str) -> list[dict]:
    """Of metrics.csv, without what depends on how busy the machine is."""
    found = METRICS.read(RunFolder(root / "tiny" / f"{cell}-seed0").path)
    return [{key: value for key, value in row.items() if key != "images_per_second"} for row in found]


@pytest.fixture
def user(lines, forked, monkeypatch) -> None:
    """This process has the environment of `lines`, for launches whose runs it forks."""
    for name, value in lines.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_MODE", raising=False)


@pytest.mark.timeout(600)
def test_a_killed_run_is_one_run_and_a_server_that_hangs_changes_nothing(
    grid, lines, user, wandb_server, tmp_path, capfd
):
    killed, root = RunFolder(tmp_path / "runs" / "tiny" / "residual-seed0"), tmp_path / "runs"
    launch = lines.start("launch", grid, "--root", root, "--jobs", "2")
    while killed.status().saved < 50:
        assert launch.poll() is None, launch.communicate()
        time.sleep(0.02)
    os.kill(killed.status().pid, signal.SIGKILL)
    _, err = launch.communicate()
    assert launch.returncode == 0, err
    assert killed.status().attempts == 2
    assert len(wandb_server.runs) == 2
    for run in wandb_server.runs.values():
        logged = [
            {"step": row["trainer/global_step"], **{key: row.get(key) for key in ("train_loss", "test_error", "lr")}}
            for row in run.history
        ]
        ours = rows(root, run.name)
        assert logged == [{key: row[key] for key in logged[0]} for row in ours], "no row doubled, none missing"
        assert (run.state, run.summary["state"]) == ("finished", "done")
        assert run.summary["attempts"] == (2 if run.name == "residual" else 1)
    theirs = lines.run("report", grid, "--root", root, "--from", "wandb:lab/lit-resnet")
    assert theirs.returncode == 0, theirs.stderr
    here, there = root / "tiny" / "report", root / "from-wandb" / "lab" / "lit-resnet" / "tiny" / "report"
    # Which images a net had wrong is in its run folder alone.
    by_images = r"; by test images alone( [^(]*\(95 %: [-\d.]+ to [-\d.]+\),?)+"
    assert re.search(by_images, (here / "claims.csv").read_text())
    for name in ("table.csv", "table.tex", "claims.csv", "index.html"):
        assert (there / name).read_text() == re.sub(by_images, "", (here / name).read_text())

    wandb_server.trouble = "hang"
    assert main(["launch", str(grid), "--root", str(tmp_path / "again"), "--jobs", "2"]) == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "W&B" in line]
    assert len(said) == 1
    assert "the server does not answer" in said[0]
    for cell in ("plain", "residual"):
        assert rows(tmp_path / "again", cell) == rows(root, cell)
        assert list((tmp_path / "again" / "tiny" / f"{cell}-seed0" / "wandb").glob("offline-run-*/*.wandb"))


def test_disabled_is_nothing_at_all(grid, user, wandb_server, monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["launch", str(grid), "--root", str(tmp_path / "runs"), "--set", "trainer.max_steps=25"]) == 0
    assert "W&B" not in capfd.readouterr().err
    assert (wandb_server.requests, list((tmp_path / "runs").rglob("wandb"))) == ([], [])
