"""One run: its folder, its learning rate, and that a run that was stopped or killed ends as one that was not."""

import csv
import errno
import io
import json
import os
import pickle
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from clocks import Calls, Killed, Saves
from lab import METRICS
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator

from lit_resnet.data.in_memory import InMemory
from lit_resnet.data.module import ImageData
from lit_resnet.data.sources import DATA_SETS
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.run import run
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder import provenance
from lit_resnet.runfolder.diagrams import Diagram, Step
from lit_resnet.runfolder.folder import GivenUp, RunFolder
from lit_resnet.runfolder.records import GATES, RESPONSES, SIGNALS
from lit_resnet.runfolder.status import Status
from lit_resnet.task import CLASSIFICATION
from lit_resnet.training import disk, recorder
from lit_resnet.training.classifier import LitResNet
from lit_resnet.training.clock import CheckpointClock
from lit_resnet.training.schedule import Rate
from lit_resnet.training.stop import StopRequest
from lit_resnet.training.weights import load_weights

STEPS, VAL, LOG = 24, 8, 6


WARM_UP = {"warmup_lr": 0.02, "warmup_window": 5, "warmup_error": 85}


def config(rate: dict[str, Any] | None = None, **model) -> dict:
    rate = {"milestones": [14, 20], **WARM_UP, **(rate or {})}
    return {
        "seed_everything": 1,
        "model": {"net": {"depth": 8}, "rate": rate, "signals_every": 7, **model},
        "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 32},
        "trainer": {"max_steps": STEPS, "val_check_interval": VAL, "log_every_n_steps": LOG, "accelerator": "cpu"},
    }


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For all tests here."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> RunFolder:
    """A run that nobody disturbed."""
    torch.set_num_threads(1)
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    assert train(RunCLI(config()), folder)
    return folder


def outcome(folder: RunFolder) -> dict:
    """All numbers that must not depend on when a run was interrupted: those but times."""
    rows = METRICS.read(folder.path)
    for row in rows:
        row.pop("images_per_second")
    found = folder.summary()
    summary = {**found.metrics, "params": found.params, "macs": found.macs, "steps": found.steps}
    summary |= {"warmup_steps": found.warmup_steps, "setting": found.setting}
    weights = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    measured = {"responses": RESPONSES.read(folder.path), "signals": SIGNALS.read(folder.path)}
    return {"metrics": rows, "summary": summary, "weights": weights, **measured}


def assert_same(a: RunFolder, b: RunFolder) -> None:
    left, right = outcome(a), outcome(b)
    weights, others = left.pop("weights"), right.pop("weights")
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert left == right


def test_the_run_folder(whole: RunFolder):
    status, summary = whole.status(), whole.summary()
    assert (status.state, status.step, status.max_steps, status.attempts) == ("done", STEPS, STEPS, 1)
    assert torch.__version__.startswith(status.versions["torch"])
    assert f"torch=={status.versions['torch']}" in whole.versions_file.read_text().splitlines()
    made = (status.code, status.git_commit, status.git_dirty)
    assert made == (summary.code, summary.git_commit, summary.git_dirty)
    assert (summary.code, whole.patch_file.exists()) == (provenance.code(), bool(summary.git_dirty))
    assert status.machine["device"] == summary.device
    assert summary.net == "ResNet-8"
    assert (summary.net_config["num_classes"], summary.net_config["in_channels"], summary.data) == (10, 1, "digits")
    assert (summary.steps, summary.batch_size, summary.seed) == (STEPS, 32, 1)
    complete = whole.config()
    assert summary.config["model"] == complete["model"], "also what the given config leaves to the defaults"
    assert summary.config["trainer"] == {k: value for k, value in complete["trainer"].items() if value is not None}
    assert summary.config["data"] == complete["data"]
    rows = METRICS.read(whole.path)
    assert [row["step"] for row in rows] == [6, 8, 12, 16, 18, 24]
    assert [row["step"] for row in rows if row["train_error"] is not None] == [6, 12, 18, 24]
    assert [row["step"] for row in rows if row["test_error"] is not None] == [8, 16, 24]
    assert summary.metrics["test_error"] == rows[-1]["test_error"]
    assert summary.metrics["train_error"] == rows[-1]["train_error"]
    # Training error over a window: a whole number of its 6 x 32 images.
    assert all(
        abs(row["train_error"] * LOG * 32 / 100 - round(row["train_error"] * LOG * 32 / 100)) < 0.01
        for row in rows
        if row["train_error"] is not None
    )
    assert len(RESPONSES.read(whole.path)) == 7
    assert all(row["std"] > 0 for row in RESPONSES.read(whole.path))


def test_learning_rate_warms_up_and_falls_at_the_milestones(whole: RunFolder):
    # The rate that an iteration was trained with: iterations 15 and 21 are the first after a milestone.
    assert whole.summary().warmup_steps == 10
    rates = {row["step"]: row["lr"] for row in METRICS.read(whole.path) if row["lr"] is not None}
    assert rates == pytest.approx({6: 0.02, 12: 0.1, 18: 0.01, 24: 0.001})


def test_signals_of_every_seventh_iteration(whole: RunFolder):
    rows = SIGNALS.read(whole.path)
    assert [(row["step"], row["layer"]) for row in rows] == [(s, n) for s in (7, 14, 21) for n in range(1, 8)]
    assert all(row["variance"] > 0 and row["gradient"] > 0 for row in rows)


def test_the_config_in_the_folder_repeats_the_run(whole: RunFolder, tmp_path: Path):
    again = RunFolder(tmp_path / "again")
    assert train(RunCLI(["--config", str(whole.config_file)]), again)
    assert_same(whole, again)
    assert again.config_file.read_text() == whole.config_file.read_text()


RATES = [0.02] * 10 + [0.1] * 4 + [0.01] * 6 + [0.001] * 4


def fresh(content: dict) -> tuple[torch.nn.Module, Iterable]:
    """A config's net before any training, and its loader of stretches (of batches where a stretch is one)."""
    cli = RunCLI(content)
    cli.instantiate(logger=[], callbacks=[])
    cli.datamodule.setup("fit")
    return cli.model.net.train(), cli.datamodule.train_dataloader()


def bare_loop(net: torch.nn.Module, batches: Iterable, rates: Iterable[float], precision: str = "32-true") -> None:
    """What `fit` does, line by line as a book would have it: so it stands in docs/one-run.md."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for rate, (images, labels) in zip(rates, batches, strict=False):
        optimizer.param_groups[0]["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = torch.nn.functional.cross_entropy(net(images.to(memory_format=torch.channels_last)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("block", [1, 8, 100])
def test_weights_are_those_of_a_bare_loop_however_many_iterations_a_step_has(
    tmp_path: Path, precision: str, block: int
):
    changed = config()
    changed["trainer"] |= {"precision": precision, "val_check_interval": block}
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(changed), folder)
    net, loader = fresh(changed)
    bare_loop(net, loader if block == 1 else chain.from_iterable(loader), RATES, precision)
    trained = build(net.config)
    load_weights(trained, folder.checkpoints / "last.ckpt")
    assert folder.summary().warmup_steps == 10
    for (name, a), b in zip(net.state_dict().items(), trained.state_dict().values(), strict=True):
        assert torch.equal(a, b), (name, (a.double() - b.double()).abs().max())


def test_momentum_in_caffes_form_is_that_of_a_loop_by_hand_also_over_a_kill(tmp_path: Path):
    changed = config(sgd={"momentum_form": "caffe"})
    folder, killed = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "killed")
    assert train(RunCLI(changed), folder)
    with pytest.raises(Killed):
        train(RunCLI(changed), killed, clock=Saves(10, killed=12))  # the rate grows fivefold after 10 iterations
    assert train(RunCLI(changed), killed)
    assert_same(folder, killed)
    trained = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    distances = {}
    for form in ("caffe", "pytorch"):
        net, loader = fresh(changed)
        velocity = {w: torch.zeros_like(w) for w in net.parameters()}
        for lr, (images, labels) in zip(RATES, chain.from_iterable(loader), strict=False):
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(images.to(memory_format=torch.channels_last)), labels).backward()
            with torch.no_grad():
                for w, v in velocity.items():
                    step = w.grad + 1e-4 * w
                    v.mul_(0.9).add_(lr * step if form == "caffe" else step)
                    w.sub_(v if form == "caffe" else lr * v)
        distances[form] = max((w - trained[f"net.{name}"]).abs().max() for name, w in net.named_parameters())
    assert distances["caffe"] < 1e-4 < 0.1 < distances["pytorch"], distances


def test_weight_decay_of_bn_and_bias_is_a_choice():
    for decayed in (True, False):
        cli = RunCLI(config(sgd={"decay_bn_and_bias": decayed}))
        cli.instantiate(logger=[], callbacks=[])
        groups = cli.model.configure_optimizers().param_groups
        decay = {p: group["weight_decay"] for group in groups for p in group["params"]}
        for name, p in cli.model.net.named_parameters():
            spared = not decayed and (".bn" in f".{name}" or name == "fc.bias")
            assert decay[p] == (0 if spared else 1e-4), name


@pytest.mark.parametrize("length", [{"max_steps": 3}, {"max_epochs": 1, "limit_train_batches": 3}])
def test_module_and_data_serve_a_trainer_of_ones_own(length: dict):
    model = pickle.loads(pickle.dumps(LitResNet(NetConfig(depth=8, in_channels=1), signals_every=2)))
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, **length,
    )  # fmt: skip
    trainer.fit(model, ImageData(source="digits", pad=1, flip=False, batch_size=32))
    assert trainer.global_step == 3
    with pytest.raises(ValueError, match="warmup_window is 0"):
        Rate(warmup_lr=0.01, warmup_window=0)


def test_a_warm_up_that_never_ends_is_told(tmp_path: Path, capsys):
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(config(rate={"warmup_error": 1})), folder)
    assert "the warm-up never ended: the training error stayed at 1 % or more" in capsys.readouterr().err
    assert folder.summary().warmup_steps is None


def test_a_laptop_of_apple_trains_on_its_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    changed = config()
    changed["trainer"]["accelerator"] = "auto"
    cli = RunCLI(changed)
    cli.instantiate(logger=[], callbacks=[])
    assert isinstance(cli.trainer.accelerator, CPUAccelerator)
    changed["trainer"]["accelerator"] = "gpu"
    with pytest.raises(InputError, match="trainer.accelerator is gpu: write auto or cpu"):
        RunCLI(changed).check()


def train_and_kill(folder: RunFolder, clock: CheckpointClock) -> None:
    """One attempt that the clock ends."""
    with pytest.raises(Killed):
        train(RunCLI(config()), folder, clock=clock)


@pytest.mark.parametrize(("saved", "killed"), [(3, 3), (6, 7), (7, 8), (8, 8), (8, 12), (15, 17), (16, 16), (23, 23)])
def test_a_killed_run_ends_like_the_undisturbed_one(whole: RunFolder, tmp_path: Path, saved: int, killed: int):
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(saved, killed=killed))
    assert folder.summary() is None
    assert train(RunCLI(config()), folder)
    assert folder.status().attempts == 2
    assert_same(whole, folder)


def test_killed_again_right_after_a_resume(whole: RunFolder, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(LOG, killed=LOG))  # at a step that has a row
    train_and_kill(folder, Saves(killed=LOG + 1))
    assert train(RunCLI(config()), folder)
    assert folder.status().attempts == 3
    assert_same(whole, folder)


def test_killed_before_the_first_checkpoint(whole: RunFolder, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(killed=1))
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_killed_after_the_last_iteration(whole: RunFolder, tmp_path: Path, monkeypatch):
    folder = RunFolder(tmp_path / "run")

    def die(*_) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, "responses", die)
        with pytest.raises(Killed):
            train(RunCLI(config()), folder)
    assert folder.status().step == STEPS
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


@pytest.mark.parametrize(
    ("number", "when", "step", "saved"),
    [
        (signal.SIGTERM, "before", 9, 9),
        (signal.SIGTERM, "after", 9, 10),
        (signal.SIGTERM, "after", 7, 8),
        (signal.SIGTERM, "after", 24, 24),
        (signal.SIGINT, "after", 8, 9),
        (signal.SIGUSR1, "after", 8, 9),
    ],
)
def test_a_stopped_run_saves_and_the_next_call_continues(
    whole: RunFolder, tmp_path: Path, monkeypatch, number: signal.Signals, when: str, step: int, saved: int
):
    """The signal comes before or after the moment at which a step looks for it; 8 is evaluated, 24 is the last one."""
    folder, original = RunFolder(tmp_path / "run"), LitResNet.loss

    class Signals(CheckpointClock):
        def due(self, ended: int) -> bool:
            if (when, ended) == ("before", step):
                os.kill(os.getpid(), number)
                if number != signal.SIGINT:  # Slurm sends it to the launcher, which sends one of its own
                    os.kill(os.getpid(), signal.SIGTERM)
            return False

        def saved(self, ended: int, seconds: float) -> None:
            if when == "after" and ended == step == STEPS:  # at the end of the training
                os.kill(os.getpid(), number)

    def loss(self, batch) -> tuple:
        if when == "after" and self.global_step == step:  # in the next iteration
            os.kill(os.getpid(), number)
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(LitResNet, "loss", loss)
        assert not train(RunCLI(config()), folder, clock=Signals())
    assert (folder.status().state, folder.status().step) == ("queued", saved)
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_a_cancelled_run_saves_and_is_continued_when_it_is_allowed(whole: RunFolder, tmp_path: Path, monkeypatch):
    folder = RunFolder(tmp_path / "run")

    def cancel(step: int) -> None:
        if step == 9:
            folder.ask_to_stop()

    monkeypatch.setattr(recorder, "HEARTBEAT_SECONDS", 0)
    assert not train(RunCLI(config()), folder, clock=Calls(cancel))
    assert (folder.status().state, folder.status().step) == ("queued", 10)
    folder.allow()
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_a_stop_does_not_wait_for_the_end_of_a_long_evaluation(whole: RunFolder, tmp_path: Path, monkeypatch, capsys):
    """The next attempt repeats it, and the iterations since the checkpoint."""
    folder = RunFolder(tmp_path / "run")
    original = LitResNet.validation_step

    def signalled(self, *args) -> None:
        original(self, *args)
        if self.global_step == 16 and not self.trainer.sanity_checking:
            os.kill(os.getpid(), signal.SIGUSR1)

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "EVALUATION_SECONDS", -1)
        patch.setattr(LitResNet, "validation_step", signalled)
        assert not train(RunCLI(config()), folder, clock=Saves(13))
    assert "stopped at iteration 16; the next attempt goes on from iteration 13" in capsys.readouterr().err
    assert [row["step"] for row in METRICS.read(folder.path)] == [6, 8, 12]
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


class FullDisk:
    """A disk for a test to fill: of what is appended half is written, as real ones do it."""

    def __init__(self, monkeypatch) -> None:
        self.full = False
        original = Path.open

        class Half(io.FileIO):
            def write(self, content) -> int:
                return super().write(bytes(content)[: len(content) // 2])

        def opened(path: Path, mode: str = "r", *args, **kwargs):
            if self.full and mode == "wb":
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return Half(path, mode) if self.full and mode == "ab" else original(path, mode, *args, **kwargs)

        monkeypatch.setattr(Path, "open", opened)


def test_a_full_disk_does_not_end_a_run(whole: RunFolder, tmp_path: Path, monkeypatch, capsys):
    folder, full = RunFolder(tmp_path / "run"), FullDisk(monkeypatch)

    def fill(step: int) -> bool:
        full.full = 5 <= step < 20
        return True

    assert train(RunCLI(config()), folder, clock=Calls(fill))
    assert folder.status().attempts == 1
    said = capsys.readouterr().err
    assert said.count("No space left on device; the run goes on and tries again") == 1
    assert said.count("the disk is no longer full: everything is written again") == 1
    assert not [path for path in folder.path.rglob("*") if "tmp" in path.name or "new" in path.name]
    assert_same(whole, folder)


@pytest.mark.parametrize("freed", [False, True])
def test_killed_while_the_disk_is_full(whole: RunFolder, tmp_path: Path, monkeypatch, freed: bool):
    """The rows that it could not write come again; also where a checkpoint has been written since."""
    folder, full = RunFolder(tmp_path / "run"), FullDisk(monkeypatch)

    def fill(step: int) -> bool:
        full.full = 5 <= step < 20
        if step == 21:
            raise Killed
        return step == 4 or (freed and step == 20)

    train_and_kill(folder, Calls(fill))
    assert folder.status().saved == (20 if freed else 4)
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (run, "_prepare"),
        (recorder.Recorder, "on_train_end"),
        (run, "_keep_responses"),
        (RunFolder, "write_summary"),
    ],
)
def test_a_run_waits_for_a_full_disk_where_there_is_nothing_else_to_do(
    whole: RunFolder, tmp_path: Path, monkeypatch, where: Any, name: str
):
    folder, full, original = RunFolder(tmp_path / "run"), FullDisk(monkeypatch), getattr(where, name)
    naps = 0

    def nap(_: float) -> None:
        nonlocal naps
        naps += 1
        full.full = naps < 3

    def filled(*args) -> None:
        full.full = naps < 3
        original(*args)

    monkeypatch.setattr(time, "sleep", nap)
    monkeypatch.setattr(where, name, filled)
    assert train(RunCLI(config()), folder)
    assert (naps, folder.status().attempts) == (3, 1)
    assert_same(whole, folder)


def test_a_disk_that_stays_full_leaves_the_run_to_be_continued(whole: RunFolder, tmp_path: Path, monkeypatch):
    folder, full = RunFolder(tmp_path / "run"), FullDisk(monkeypatch)

    def fill(step: int) -> None:
        full.full = step > 15

    with monkeypatch.context() as patch:
        patch.setattr(disk, "INSIST_SECONDS", -1)
        with pytest.raises(OSError, match="No space left on device"):
            train(RunCLI(config()), folder, clock=Calls(fill))
    full.full = False
    assert folder.summary() is None
    assert folder.status().deaths == 0, "a full disk is no death"
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_stopped_while_the_disk_is_full(whole: RunFolder, tmp_path: Path, monkeypatch, capsys):
    folder, full = RunFolder(tmp_path / "run"), FullDisk(monkeypatch)

    def fill_and_stop(step: int) -> bool:
        full.full = step > 9
        if step == 19:
            os.kill(os.getpid(), signal.SIGTERM)
        return step == 9

    assert not train(RunCLI(config()), folder, clock=Calls(fill_and_stop))
    full.full = False
    assert "stopped at iteration 19; the next attempt goes on from iteration 9" in capsys.readouterr().err
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_what_ended_a_run_is_told_though_it_cannot_be_written_down(tmp_path: Path, monkeypatch, capsys):
    folder = RunFolder(tmp_path / "run")

    def refuse(*_) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    def die(_: int) -> None:
        monkeypatch.setattr(RunFolder, "write_status", refuse)
        raise Killed

    with pytest.raises(Killed) as caught:
        train(RunCLI(config()), folder, clock=Calls(die))
    assert caught.value.__context__ is None
    assert "status.json: Permission denied" in capsys.readouterr().err


def test_three_deaths_without_a_word(whole: RunFolder, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_status(Status("running", deaths=2, died_at=0))
    with pytest.raises(GivenUp, match="died 3 times from iteration 0 on; see its log, mend the cause"):
        train(RunCLI(config()), folder)
    assert folder.status().state == "failed"
    folder.write_status(Status("running", deaths=2, died_at=0, saved=8))  # it has got further since
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_a_run_that_is_stopped_while_it_loads_stops_at_once(tmp_path: Path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(InMemory, "load", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert not train(RunCLI(config()), folder)
    assert (folder.status().state, folder.status().step) == ("queued", 0)


@pytest.mark.parametrize("damage", ["cut off", "overwritten"])
def test_a_damaged_checkpoint_is_passed_over(whole: RunFolder, tmp_path: Path, capsys, damage: str):
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(5, 11, killed=13))
    last = folder.checkpoints / "last.ckpt"
    content = last.read_bytes()
    middle = len(content) // 2
    last.write_bytes(content[:5000] if damage == "cut off" else content[:middle] + bytes(500) + content[middle + 500 :])
    assert train(RunCLI(config()), folder)
    assert "last.ckpt is damaged" in capsys.readouterr().err
    assert_same(whole, folder)


def copied(whole: RunFolder, path: Path) -> RunFolder:
    shutil.copytree(whole.path, path)
    return RunFolder(path)


@pytest.mark.parametrize("damaged", ["summary.json", "status.json", "responses.csv"])
def test_a_damaged_file_that_is_made_again_costs_no_training(
    whole: RunFolder, tmp_path: Path, monkeypatch, damaged: str
):
    """What the words say about it is tried: the other files and the checkpoint are enough."""
    folder = copied(whole, tmp_path / "run")
    (folder.path / damaged).write_text("{\n")
    read = {"summary.json": folder.summary, "status.json": folder.status}
    with pytest.raises(InputError, match=rf"{damaged}.*: damaged.*; remove") as caught:
        read.get(damaged, lambda: RESPONSES.read(folder.path))()
    assert "train" not in str(caught.value)
    (folder.path / damaged).unlink()
    if damaged == "responses.csv":
        run.responses_of(str(folder.path))
    else:
        monkeypatch.setattr(LitResNet, "loss", lambda *_: pytest.fail("it trains"))
        folder.summary_file.unlink(missing_ok=True)
        assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_rows_that_stand_twice_are_dropped_when_a_run_goes_on(whole: RunFolder, tmp_path: Path):
    """As two processes leave them that train in one folder for a moment."""
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(16, killed=20))
    for record in (METRICS, SIGNALS):
        rows = record.grown(folder.path)
        record.replace(folder.path, [*rows, *rows[len(rows) // 2 :]])
        with pytest.raises(InputError, match="remove the lines that do not grow"):
            record.read(folder.path)
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


def test_final_errors_are_not_guessed_where_their_row_is_missing(whole: RunFolder, tmp_path: Path):
    folder = copied(whole, tmp_path / "run")
    folder.summary_file.unlink()
    rows = METRICS.read(folder.path)
    for left in (rows[:-1], []):
        METRICS.replace(folder.path, left)
        with pytest.raises(InputError, match=r"metrics\.csv: damaged \((ends at iteration 18|has no rows).*put a copy"):
            train(RunCLI(config()), folder)
        assert folder.summary() is None
    METRICS.replace(folder.path, rows)
    assert train(RunCLI(config()), folder)
    assert_same(whole, folder)


@pytest.mark.parametrize("key", ["rate", "optimizer_states", "not even a checkpoint"])
def test_a_checkpoint_that_cannot_be_continued_is_passed_over(
    whole: RunFolder, tmp_path: Path, monkeypatch, capsys, key: str
):
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(5, 11, killed=13))
    last, previous = (folder.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
    content = torch.load(last, weights_only=True)
    content.pop(key, None)
    torch.save(content if key in run.RESUMED else {"x": Path("x")}, last)
    shutil.copytree(folder.path, tmp_path / "copy")
    assert train(RunCLI(config()), RunFolder(tmp_path / "copy"))
    assert "using the checkpoint before it" in capsys.readouterr().err
    assert_same(whole, RunFolder(tmp_path / "copy"))
    shutil.copy(last, previous)
    with pytest.raises(InputError) as caught:
        train(RunCLI(config()), folder)
    assert folder.status().state == "failed", "it would fail again"
    assert f"move {folder.checkpoints} away to train the run anew" in str(caught.value)
    assert "weights_only" not in str(caught.value), "torch's advice"


def test_a_checkpoint_of_another_version_is_one_line(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    train_and_kill(folder, Saves(5, killed=7))
    last = folder.checkpoints / "last.ckpt"
    content = torch.load(last, weights_only=True)
    wrong = [("rate", {}), ("rate", None), ("windows", {"log": {"images": 3}}), ("windows", 3), ("data", [1])]
    for part, value in wrong:
        torch.save(content | {part: value}, last)
        with pytest.raises(InputError, match="the checkpoint is of another version of lit-resnet") as caught:
            train(RunCLI(config()), folder)
        assert "\n" not in str(caught.value)


def test_a_plain_net_has_the_weights_of_a_residual_net_but_is_another(whole: RunFolder, tmp_path: Path):
    """With option A; so their shapes do not tell."""
    plain = build(NetConfig(depth=8, shortcut="none", in_channels=1))
    with pytest.raises(InputError, match="the checkpoint is of ResNet-8, not of plain-8; give the net that it is of"):
        load_weights(plain, whole.checkpoints / "last.ckpt")
    for weights in ([], {"net.fc.weight": 3}, None):
        torch.save({"state_dict": weights}, tmp_path / "x.ckpt")
        with pytest.raises(InputError, match="the checkpoint holds no weights"):
            load_weights(plain, tmp_path / "x.ckpt")


def test_the_last_model_is_the_one_reported(tmp_path: Path, monkeypatch):
    uneven = config()
    uneven["trainer"]["max_steps"] = 10  # evaluated at 8, and once more at the end
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(uneven), folder)
    rows = METRICS.read(folder.path)
    assert [row["step"] for row in rows] == [6, 8, 10], "one row a step"
    assert [row["step"] for row in rows if row["test_error"] is not None] == [8, 10]
    assert folder.summary().metrics["test_error"] == rows[-1]["test_error"]

    killed = RunFolder(tmp_path / "killed")

    def die(*_) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, "complexity", die)
        with pytest.raises(Killed):
            train(RunCLI(uneven), killed)
    assert train(RunCLI(uneven), killed)
    assert_same(folder, killed)


def test_errors_and_losses_are_those_of_all_images(whole: RunFolder):
    data = RunCLI(config()).data()
    data.setup("test")
    net = build(NetConfig(depth=8, in_channels=1)).eval()
    load_weights(net, whole.checkpoints / "last.ckpt")
    (images, labels) = data.test
    with torch.inference_mode():
        logits = net((images - data.mean) / 255).double()
    last = METRICS.read(whole.path)[-1]
    assert last["test_error"] == pytest.approx(100 * (logits.argmax(1) != labels).double().mean().item(), abs=1e-4)
    # 500 images in batches of 32: the last batch is short, and each of its images counts as one.
    assert last["test_loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)


def test_a_net_that_cannot_be_compiled(tmp_path: Path, monkeypatch):
    def without_compiler(*_: Any) -> None:
        raise RuntimeError("No working C++ compiler found\nand more")

    compile_net = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, mode: compile_net(self, backend=without_compiler))
    with pytest.raises(InputError) as error:
        train(RunCLI(config(speed={"compile": True}, signals_every=None)), RunFolder(tmp_path))
    said = str(error.value)
    assert said.startswith("model.speed.compile: this net cannot be compiled here (")
    assert said.endswith("No working C++ compiler found); leave it out")
    assert RunFolder(tmp_path).status().state == "failed"


def test_a_compiled_net_gives_the_same_signals_and_responses(tmp_path: Path, whole: RunFolder, monkeypatch):
    # "eager" goes through the compiler's graph capture, which is what passes hooks by, without generating code.
    compile_net = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, mode: compile_net(self, backend="eager"))
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(config(speed={"compile": True})), folder)
    for records, name in ((RESPONSES, "std"), (SIGNALS, "gradient")):
        measured = [row[name] for row in records.read(folder.path)]
        assert measured == pytest.approx([row[name] for row in records.read(whole.path)], rel=1e-3)


def test_the_gates_of_a_compiled_net_are_watched(tmp_path: Path, monkeypatch):
    compile_net = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, mode: compile_net(self, backend="eager"))
    opened = []
    for compiled in (True, False):
        folder = RunFolder(tmp_path / str(compiled))
        net = {"depth": 8, "gate": "shortcut"}
        assert train(RunCLI(config(net=net, speed={"compile": compiled}, signals_every=None)), folder)
        opened.append([row["opening"] for row in GATES.read(folder.path)])
    assert len(opened[0]) > 3
    assert opened[0] == pytest.approx(opened[1], rel=1e-3)


def test_a_config_that_trained_nothing_can_be_mended(tmp_path: Path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    wrong = config()
    wrong["data"]["val_size"] = 5000
    with pytest.raises(InputError, match="there are 1297 training images"):
        train(RunCLI(wrong), folder)
    assert not folder.path.exists(), "what is known without reading images is refused before"
    with monkeypatch.context() as patch:
        patch.setitem(DATA_SETS, "digits", replace(DATA_SETS["digits"], images=None))
        with pytest.raises(InputError, match="there are 1297 training images"):
            train(RunCLI(wrong), folder)
    assert folder.status().state == "failed", "it would fail again"
    assert train(RunCLI(config()), folder)


def test_a_held_out_split_has_its_own_error(tmp_path: Path):
    split = config()
    split["data"]["val_size"] = 97
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(split), folder)
    errors = [row["val_error"] for row in METRICS.read(folder.path) if row["val_error"] is not None]
    assert len(errors) == 3
    assert errors[-1] * 97 / 100 == pytest.approx(round(errors[-1] * 97 / 100), abs=1e-3)
    assert folder.summary().metrics["val_error"] == errors[-1]


def test_a_run_that_diverges_says_so(tmp_path: Path, whole: RunFolder):
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(config(rate={"lr": 1e30})), folder)
    assert folder.summary().diverged
    assert not whole.summary().diverged


def test_a_third_death_without_getting_further_is_a_failure(tmp_path: Path):
    folder, clock = RunFolder(tmp_path / "run"), Calls(lambda _: 1 / 0)
    for death, state in ((1, "queued"), (2, "queued"), (3, "failed")):
        with pytest.raises(ZeroDivisionError):
            train(RunCLI(config()), folder, clock=clock)
        assert folder.status().state == state
        assert folder.status().deaths == death
    assert folder.status().error == "ZeroDivisionError: division by zero; died 3 times from iteration 0 on"
    with pytest.raises(ZeroDivisionError):  # somebody asks anew
        train(RunCLI(config()), folder, clock=clock)
    assert folder.status().deaths == 1


def test_finished_runs_and_other_configs_are_not_overwritten(whole: RunFolder, tmp_path: Path, monkeypatch):
    before = {path: path.read_bytes() for path in whole.path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="this run is finished"):
        train(RunCLI(config()), whole)
    assert before == {path: path.read_bytes() for path in before}

    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.config_file.write_text(RunCLI(config()).config_text())
    folder.checkpoints.mkdir()
    (folder.checkpoints / "last.ckpt").write_bytes((whole.checkpoints / "last.ckpt").read_bytes())
    with pytest.raises(InputError, match=r"another model.rate.lr \(0.1, not 0.05\)"):
        train(RunCLI(config(rate={"lr": 0.05})), folder)


VGG = {"family": "vgg", "depth": 16, "shortcut": "none"}
LEARNING_RATES = {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": {"net": {"dpeth": 20}}}, r"unknown key model.net.dpeth; did you mean model.net.depth\?"),
        ({"modle": {"lr": 1}}, "unknown key modle"),
        ({"model": {"net": {"depth": 21}}}, "depth is 21: .* 20 and 26"),
        ({"model": {"net": {"depth": "deep"}}}, "model.net.depth: deep is not a whole number"),
        ({"model": {"net": {"shortcut": "D"}}}, "shortcut is 'D': write one of none, A, B, C"),
        ({"model": {"net": 3}}, "model.net is 3: it has keys of its own"),
        ({"model": {"rate": {"lr": -0.1}}}, "lr is -0.1: write a number above 0"),
        ({"model": {"rate": {"milestones": [20, 10]}}}, "write iterations in growing order"),
        ({"model": {"rate": {"lr": float("nan")}}}, "lr is nan: write a number above 0"),
        ({"model": {"rate": {"lr": float("inf")}}}, "lr is inf: write a number above 0"),
        ({"model": {"rate": {"lr": 10**400}}}, r"a value cannot be read \(int too large to convert to float\)"),
        ({"model": {"rate": {"plateau_least": float("nan")}}}, "plateau_least is nan: write points of error"),
        ({"model": {"sgd": {"weight_decay": float("nan")}}}, "weight_decay is nan: write 0 or more"),
        ({"model": {"sgd": {"momentum": float("nan")}}}, "momentum is nan: write a number from 0"),
        ({"model": {"sgd": {"momentum": -3}}}, "momentum is -3.0: write a number from 0"),
        ({"model": {"sgd": {"momentum_form": "nesterov"}}}, "momentum_form: nesterov is not one of pytorch, caffe"),
        ({"model": {"sgd": {"weight_decay": -1}}}, "weight_decay is -1.0: write 0 or more"),
        ({"model": {"rate": {"warmup_lr": 0.5}}}, r"warmup_lr is 0.5: write a number between 0 and lr \(0.1\)"),
        ({"model": {"rate": {"warmup_error": 0}}}, "warmup_error is 0.0: write percent"),
        ({"model": {"rate": {"warmup_window": 0}}}, "warmup_window is 0: write iterations"),
        ({"model": {"rate": {"plateau_patience": 0}}}, "plateau_patience is 0: write evaluations"),
        ({"model": {"rate": {"plateau_least": -1}}}, "plateau_least is -1.0: write points of error"),
        ({"evaluate": ["ten-crops"]}, "evaluate: .*ten-crop"),
        ({"evaluate": ["ten-crop"], "data": {"source": "digits"}}, "evaluate is .*for data.source imagenet"),
        ({"model": {"signals_every": -5}}, "signals_every is -5: write iterations"),
        (
            {"model": {"speed": {"recompute": True, "compile": True}}},
            "model.speed.recompute: a compiled net cannot recompute",
        ),
        (
            {"model": {"speed": {"recompute": True}, "net": VGG}},
            "model.speed.recompute: a vgg net has neither .*; leave it out",
        ),
        ({"model": {"signals_every": 5, "net": VGG}}, "model.signals_every: a vgg net has neither"),
        ({"model": {"net": {**VGG, "depth": 11}}}, "depth is 11: a vgg net has 16 or 19 layers"),
        ({"model": {"net": {**VGG, "shortcut": "A"}}}, "shortcut is A: a vgg net has no shortcuts; write none"),
        ({"model": {"bn_group": 48}}, r"model.bn_group is 48: write a divisor of data.batch_size \(128\)"),
        ({"trainer": {"gradient_clip_val": 1.0}}, "trainer.gradient_clip_val is 1.0: leave it out"),
        ({"trainer": {"max_steps": 0}}, "trainer.max_steps is 0: write iterations"),
        ({"trainer": {"val_check_interval": 0.5}}, "trainer.val_check_interval is 0.5: write iterations"),
        ({"trainer": {"log_every_n_steps": 0}}, "trainer.log_every_n_steps is 0: write iterations"),
        ({"trainer": {"limit_val_batches": 0.3}}, "trainer.limit_val_batches is 0.3: leave it out"),
        ({"trainer": {"max_epochs": 3}}, "trainer.max_epochs is 3: leave it out"),
        ({"trainer": {"accumulate_grad_batches": 4}}, "trainer.accumulate_grad_batches is 4: leave it out"),
        ({"trainer": {"precision": "64-true"}}, "trainer.precision is '64-true': write one of 32-true, bf16-mixed"),
        ({"seed_everything": -1}, "seed_everything is -1: write a whole number from 0 to 4294967295"),
        ({"seed_everything": 2**32}, "seed_everything is 4294967296: write a whole number from 0"),
        ({"seed_everything": False}, "seed_everything is False"),
        ({"data": {"source": "cifar"}}, "data.source is cifar: write one of .*; did you mean cifar10"),
        ({"data": {"source": "folder", "root": "/nowhere"}}, "/nowhere"),
        ({"data": {"root": "~nosuchuser/x"}}, "root is '?~nosuchuser/x'?: there is no such user; write a folder"),
        ({"data": {"source": "digits", "val_size": 1297}}, "val_size is 1297, but there are 1297 training images"),
        ({"data": {"source": "cifar10", "val_size": 50_000}}, "val_size is 50000, but there are 50000 training images"),
        ({"data": {"pad": 10**23}}, "pad is 1000+: write a number from 0 to 8,192"),
        ({"data": {"batch_size": 10**23}}, "batch_size is 1000+: write a number from 1 to 1,048,576"),
        ({"model": {"net": {"depth": 600002}}}, "depth is 600002: write at most 5,000; the paper's deepest net has"),
        ({"model": {"net": {"depth": 99999999999999999999998}}}, "depth is 9+8: write at most 5,000"),
        ({"trainer": {"max_steps": 10**10}}, "trainer.max_steps is 10000000000: write iterations, .* to 1,000,000,000"),
        (
            {"trainer": {"accelerator": "quantum"}},
            "trainer.accelerator is quantum: write one of auto, gpu, cpu",
        ),
        ({"trainer": {"accelerator": "mps"}}, "trainer.accelerator is mps: write auto or cpu"),
        (
            {"trainer": {"max_steps": 15, "val_check_interval": 10, "callbacks": [LEARNING_RATES]}},
            r"trainer.val_check_interval is 10: write a divisor of max_steps \(15\)",
        ),
        ({"trainer": {"strategy": "dpp"}}, "trainer.strategy is dpp: write one of .*; did you mean ddp"),
        ({"trainer": {"profiler": "x"}}, "trainer.profiler is x: write one of simple, advanced"),
        ({"config": "x"}, "unknown key config"),
    ],
)
def test_wrong_values_are_told_in_one_line(wrong: dict, message: str):
    with pytest.raises(InputError, match=message) as caught:
        RunCLI(wrong).instantiate(logger=[], callbacks=[])
    assert "\n" not in str(caught.value)


def test_metrics_file_survives_a_half_written_line(whole: RunFolder, tmp_path: Path):
    folder = RunFolder(tmp_path)
    text = METRICS.file(whole.path).read_text()
    METRICS.file(folder.path).write_text(text[:-10])
    assert [row["step"] for row in METRICS.read(folder.path)] == [6, 8, 12, 16, 18]
    with METRICS.file(whole.path).open() as file:
        assert next(csv.reader(file))[0] == "step"
    METRICS.file(folder.path).write_text(text + "x,y\n")
    with pytest.raises(InputError, match="line 8: damaged"):
        METRICS.read(folder.path)


def test_damaged_json_is_named(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.status_file.write_text('{"state": "runn')
    with pytest.raises(InputError, match=r"status.json: damaged"):
        folder.status()
    folder.summary_file.write_text(json.dumps([1]))
    with pytest.raises(InputError, match=r"summary.json: damaged"):
        folder.summary()


def test_a_value_that_cannot_be_is_not_written(tmp_path: Path):
    """Else the folder could not be read again."""
    logger = recorder.MetricsFile(RunFolder(tmp_path), disk.Disk(StopRequest()), CLASSIFICATION)
    logger.log_row({"train_loss": float("nan"), "test_error": 100.0}, step=5)
    with pytest.raises(InputError, match=r"test_error is 101\.0, which its declaration in .* does not allow"):
        logger.log_row({"test_error": 101.0}, step=6)


def test_a_run_that_goes_on_with_other_code_says_so(tmp_path: Path, monkeypatch, capsys):
    folder, status = RunFolder(tmp_path), Status(saved=10, code=provenance.code())
    own = provenance.Checkout("b" * 40, True, "+ x = 1\n")
    monkeypatch.setattr(provenance, "of_user", lambda: own)
    run._note_origin(status, folder, disk.Disk(StopRequest()))
    assert capsys.readouterr().err == ""
    assert (status.own_git_commit, status.own_git_dirty) == ("b" * 40, True)
    assert folder.own_patch_file.read_text() == "+ x = 1\n"
    monkeypatch.setattr(provenance, "of_user", lambda: None)
    monkeypatch.setattr(provenance, "code", lambda: "another")
    run._note_origin(status, folder, disk.Disk(StopRequest()))
    assert (
        "the code of lit_resnet has changed since iteration 10, from which the run goes on" in capsys.readouterr().err
    )
    assert (status.code, status.own_git_commit, folder.own_patch_file.read_text()) == ("another", None, "")


def test_a_metric_that_nobody_declared_is_refused(tmp_path: Path, capsys):
    logger = recorder.MetricsFile(RunFolder(tmp_path), disk.Disk(StopRequest()), CLASSIFICATION)
    logger.resume(0)
    logger.log_row({"test_error": 9.0}, step=5)
    logger.log_metrics({"lr-SGD": 0.1, "epoch": 0}, step=5)
    logger.log_metrics({"lr-SGD": 0.1, "epoch": 0}, step=6)
    assert capsys.readouterr().err.count(f"not in {tmp_path}/metrics.csv") == 1
    with pytest.raises(InputError, match="^val_loss was logged, but is no metric of the task classification: declare"):
        logger.log_row({"val_error": 9.0, "val_loss": 0.3}, step=5)
    logger.write_row()
    assert [(row["step"], row["test_error"]) for row in METRICS.read(tmp_path)] == [(5, 9.0)]
    assert logger.newest == {"test_error": 9.0}


CALLBACKS = [
    {
        "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
        "init_args": {"every_n_train_steps": 5, "save_top_k": -1},
    },
    {
        "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
        "init_args": {"monitor": "test_error", "filename": "best-{step}"},
    },
    LEARNING_RATES,
    {"class_path": "lightning.pytorch.callbacks.Timer", "init_args": {"duration": {"hours": 1}}},
]


def files_of_callbacks(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.glob("metrics/checkpoints/*.ckpt"))


def test_blocks_that_their_file_does_not_take_cost_no_run(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(run, "diagrams", lambda *_: (Diagram((Step("input", "", 10**7),)),))
    data = SimpleNamespace(image_shape=(1, 8, 8))
    run._draw_blocks(SimpleNamespace(net=None, data=data, folder=RunFolder(tmp_path), disk=disk.Disk(StopRequest())))
    assert "its blocks are not drawn: width is 10000000" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("killed", [8, 15])
def test_with_callbacks_that_count_steps_a_run_is_the_same(whole: RunFolder, tmp_path: Path, killed: int):
    changed = config()
    changed["trainer"]["callbacks"] = CALLBACKS
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Killed):
        train(RunCLI(changed), folder, clock=Saves(killed, killed=killed))
    assert train(RunCLI(changed), folder)
    found, wanted = outcome(folder), outcome(whole)
    found["summary"].pop("setting"), wanted["summary"].pop("setting")
    weights, others = found.pop("weights"), wanted.pop("weights")
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert found == wanted
    names = files_of_callbacks(folder)
    assert {f"epoch=0-step={step}.ckpt" for step in (5, 10, 15, 20)} <= set(names)
    errors = {row["step"]: row["test_error"] for row in METRICS.read(folder.path) if row["test_error"] is not None}
    assert [name for name in names if name.startswith("best")] == [f"best-step={min(errors, key=errors.get)}.ckpt"]
    # What Lightning's own way to load makes of it.
    last = LitResNet.load_from_checkpoint(folder.path / "metrics" / "checkpoints" / "epoch=0-step=20.ckpt")
    assert last.config == NetConfig(depth=8, in_channels=1)


def test_an_average_of_weights_takes_every_iteration(whole: RunFolder, tmp_path: Path):
    changed = config()
    changed["trainer"]["callbacks"] = [{"class_path": "EMAWeightAveraging", "init_args": {"decay": 0.9}}]
    folder, stopped = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "stopped")
    assert train(RunCLI(changed), folder)
    with pytest.raises(Killed):
        train(RunCLI(changed), stopped, clock=Saves(11, killed=13))
    assert train(RunCLI(changed), stopped)
    assert_same(folder, stopped)
    last = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)
    assert last["averaging_state"]["n_averaged"] == STEPS
    assert folder.summary().metrics["train_error"] == whole.summary().metrics["train_error"]
    assert folder.summary().metrics["test_error"] != whole.summary().metrics["test_error"]


def test_a_callback_may_end_a_run(tmp_path: Path):
    changed = config()
    stopping = {"class_path": "lightning.pytorch.callbacks.EarlyStopping"}
    changed["trainer"]["callbacks"] = [stopping | {"init_args": {"monitor": "train_error", "stopping_threshold": 99}}]
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(changed), folder)
    assert folder.summary().steps == VAL
    assert folder.status().state == "done"


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ("StochasticWeightAveraging", "it counts epochs, and a run has iterations; write EMAWeightAveraging"),
        ("LearningRateFinder", "it would change model.rate.lr"),
    ],
)
def test_callbacks_that_a_run_cannot_have(callback: str, message: str):
    changed = config()
    arguments = {"swa_lrs": 0.1} if callback.startswith("Stoch") else {}
    path = f"lightning.pytorch.callbacks.{callback}"
    changed["trainer"]["callbacks"] = [{"class_path": path, "init_args": arguments}]
    with pytest.raises(InputError, match=f"trainer.callbacks: {callback} is not for a run here: {message}"):
        RunCLI(changed).check()


def test_a_callback_that_needs_another_package(tmp_path: Path):
    if find_spec("psutil"):
        pytest.skip("psutil is installed")
    changed = config()
    changed["trainer"]["callbacks"] = [{"class_path": "lightning.pytorch.callbacks.DeviceStatsMonitor"}]
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match="psutil"):
        train(RunCLI(changed), folder)
    assert folder.status().state == "failed"


@pytest.mark.parametrize("callbacks", [[], CALLBACKS[2:]], ids=["stretches", "single steps"])
def test_what_is_printed_is_of_the_evaluation_that_has_just_ended(tmp_path: Path, capsys, callbacks: list):
    changed = config()
    changed["trainer"] |= {"callbacks": callbacks, "log_every_n_steps": 8}
    folder = RunFolder(tmp_path / "run")
    assert train(RunCLI(changed), folder)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("iteration ")]
    rows = METRICS.read(folder.path)
    assert [line.split(":")[0] for line in lines] == [f"iteration {row['step']}/24" for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert f"train error {row['train_error']:.2f} %, test error {row['test_error']:.2f} %, lr" in line
    assert folder.summary().results in lines[-1]


def test_fit_names_folders_by_their_values_and_ends_with_the_errors(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = config()
    quick["trainer"] |= {"max_steps": 2, "val_check_interval": 2}
    Path("c.yaml").write_text(yaml.safe_dump(quick))

    def fitted(*more: str) -> str:
        assert run.fit(["--config", "c.yaml", *more]) == 0
        folder, _, said = capsys.readouterr().err.splitlines()[-1].partition(": ")
        assert said == f"done, {RunFolder(folder).summary().results}"
        return folder

    one, other = fitted(), fitted("--model.sgd.momentum", "0.8")
    folders = {one, other, fitted("--model.start", one), fitted("--model.start", other)}
    assert len(folders) == 4
    assert all(folder.startswith("runs/fit/ResNet-8-digits-seed1-") for folder in folders)
    with pytest.raises(InputError, match="this run is finished"):
        run.fit(["--config", "c.yaml"])


def test_how_an_earlier_model_was_judged_is_no_result(tmp_path: Path):
    """Somebody has judged the run while it trained; it does not ask for that itself."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    entry = {"top1_error": 50.0, "top5_error": None, "images": 500, "views": 1, "data": "x", "checkpoint": "old"}
    folder.evaluation_file.write_text(json.dumps({"center": entry}))
    assert folder.evaluations()
    quick = config()
    quick["trainer"] |= {"max_steps": 2, "val_check_interval": 2}
    assert train(RunCLI(quick), folder)
    assert folder.evaluations() == {}


def test_a_quick_check_keeps_nothing(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(yaml.safe_dump(config() | {"trainer": config()["trainer"] | {"callbacks": CALLBACKS}}))
    before = sorted(tmp_path.rglob("*"))
    assert run.fit(["--config", "c.yaml", "--check"]) == 0
    assert "it trains: train error" in capsys.readouterr().err
    taken: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(LitResNet, "_take_statistics", lambda _, images: taken.append(images))
        assert run.fit(["--config", "c.yaml", "--model.bn_images", "10000", "--check"]) == 0
        patch.setattr(InMemory, "load", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert run.fit(["--config", "c.yaml", "--check"]) == 130
    assert taken == [1]
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(InputError, match=r"unknown key model.net.dept; did you mean model.net.depth\?"):
        run.fit(["--config", "c.yaml", "--model.net.dept", "20", "--check"])


def test_help_begins_with_what_a_run_is_made_of(capsys):
    with pytest.raises(SystemExit) as ended:
        RunCLI(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    places = [
        text.index(key) for key in ("--model.net.depth", "--data.source", "--trainer.max_steps", "--seed_everything")
    ]
    assert places == sorted(places)
    assert "--trainer.fast_dev_run" not in text
    assert len(text.splitlines()) < 430
    with pytest.raises(SystemExit):
        RunCLI(["--trainer.help"])
    text = capsys.readouterr().out
    assert "--trainer.fast_dev_run" in text
    assert "--model.net" not in text
