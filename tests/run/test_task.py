"""A second task is a module, its data and an entry: `fit`, `plan` and `launch` train it, with its own metrics."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_task
import yaml
from clocks import Killed, Saves
from extending import Add

from lit_resnet import task
from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder


@pytest.fixture(autouse=True)
def _two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.TASKS, "toy", toy_task.TOY)


CONFIG = {
    "task": "toy",
    "model": {"rate": {"milestones": [3]}},
    "data": {"batch_size": 4},
    "trainer": {"max_steps": 4, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"},
}


def test_fit_trains_it(tmp_path: Path):
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(CONFIG))
    run = tmp_path / "run"
    assert main(["fit", "--config", str(tmp_path / "toy.yaml"), "--trainer.default_root_dir", str(run)]) == 0
    with (run / "metrics.csv").open() as file:
        rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]
    assert [row["step"] for row in rows] == ["2", "4"]
    for row in rows:
        assert float(row["test_distance"]) > 0
        assert float(row["train_loss"]) > 0
        assert "train_error" not in row
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["net"], summary["data"], summary["params"]) == ("toy-2", "noise", 34)
    assert summary["test_distance"] == float(rows[-1]["test_distance"])
    assert not (run / "responses.csv").exists()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["task"], config["model"]["rate"]["milestones"], config["data"]) == ("toy", [3], {"batch_size": 4})


def test_a_resume_goes_on_with_the_state_of_its_data(tmp_path: Path):
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    assert train(RunCLI(CONFIG), whole)
    with pytest.raises(Killed):
        train(RunCLI(CONFIG), stopped, clock=Saves(3, killed=3))
    again = RunCLI(CONFIG)
    assert train(again, stopped)
    assert again.datamodule.restored == {"seen": 3}
    a, b = (torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, stopped))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_its_keys_are_its_own():
    assert RunCLI(["--task", "toy", "--data.batch_size=5"]).check()[0].batch_size == 5
    assert RunCLI({}).task == task.CLASSIFICATION
    for wrong, message in (
        ({**CONFIG, "evaluate": ["center"]}, "unknown key evaluate"),
        ({**CONFIG, "data": {"source": "digits"}}, "unknown key data.source"),
        ({**CONFIG, "data": {"batch_size": 101}}, "data.batch_size: write 100 or less"),
        (
            {**CONFIG, "task": "toys"},
            r"task is 'toys': write one of classification, own-data, detection, toy; did you mean toy\?",
        ),
    ):
        with pytest.raises(InputError, match=message):
            RunCLI(wrong).check()
    with pytest.raises(InputError, match="task is classification here and toy elsewhere"):
        RunCLI(CONFIG).read({})


def test_a_metric_is_added_as_the_docs_say(add: Add, tmp_path: Path, one_thread: None):
    add("A metric")
    trainer = CONFIG["trainer"] | {"max_steps": 2}
    config = {"task": "normed", "model": {"net": {"depth": 8}}, "data": {"source": "digits"}, "trainer": trainer}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    run = tmp_path / "run"
    assert main(["fit", "--config", str(tmp_path / "mine.yaml"), "--trainer.default_root_dir", str(run)]) == 0
    with (run / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert list(row)[-2:] == ["val_error", "norm"]
    summary = json.loads((run / "summary.json").read_text())
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    names = dict(build(NetConfig(depth=8)).named_parameters())
    norm = torch.cat([weights[f"net.{name}"].flatten() for name in names]).norm().item()
    assert summary["norm"] == float(row["norm"]) == pytest.approx(norm, rel=1e-5)


def write_grid(folder: Path) -> Path:
    (folder / "toy.yaml").write_text(yaml.safe_dump(CONFIG))
    grid = folder / "toys.yaml"
    grid.write_text(yaml.safe_dump({"base": "toy.yaml", "matrix": {"model.net.outputs": [2]}, "seeds": [0, 1]}))
    return grid


def test_a_grid_of_it_is_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plan", str(write_grid(tmp_path)), "--root", str(tmp_path), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["net"], row["params"], row["macs"], row["training_macs"]) for row in rows] == [
        ("toy-2", 34, 32, 3 * 32 * 4 * 4)
    ] * 2
    assert all(row["seconds"] >= 0 for row in rows)


def test_a_grid_of_it_is_launched(tmp_path: Path):
    tests = str(Path(toy_task.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-m", "toy_task", "launch", str(write_grid(tmp_path)), "--root", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": tests, "WANDB_MODE": "disabled"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for seed in (0, 1):
        summary = RunFolder(tmp_path / "toys" / f"outputs=2-seed{seed}").summary()
        assert summary.metrics["test_distance"] > 0
    assert "test distance" in done.stdout
