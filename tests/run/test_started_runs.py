"""Runs that start from another run's weights: what they begin with, what they keep of it, and when they may go on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from clocks import Killed, Saves
from lab import METRICS

from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig
from lit_resnet.run.check import check
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.sameness import digest, may_resume, same_run, trained_alike
from lit_resnet.training.classifier import LitResNet
from lit_resnet.training.start import start_weights


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For all tests here."""


def config(start: Path | str | None = None, rate: dict[str, Any] | None = None, **model: Any) -> dict[str, Any]:
    begun = {"start": str(start)} if start else {}
    return {
        "seed_everything": 1,
        "model": {"net": {"depth": 8}, "rate": rate or {"lr": 0.05}, **begun, **model},
        "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 32},
        "trainer": {"max_steps": 6, "val_check_interval": 3, "log_every_n_steps": 3, "accelerator": "cpu"},
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that others start from."""
    folder = RunFolder(tmp_path_factory.mktemp("first") / "run")
    assert train(RunCLI(config()), folder)
    return folder


@pytest.fixture(scope="module")
def started(first: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run from its weights, which takes BN's statistics at its end."""
    torch.set_num_threads(1)
    folder = RunFolder(tmp_path_factory.mktemp("started") / "run")
    assert train(RunCLI(config(first.path, bn_images=70)), folder)
    return folder


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]


def assert_same(a: RunFolder, b: RunFolder) -> None:
    """Bit for bit."""
    one, other = weights(a), weights(b)
    assert all(torch.equal(one[name], other[name]) for name in one)
    rows = [[row | {"images_per_second": None} for row in METRICS.read(run.path)] for run in (a, b)]
    assert rows[0] == rows[1]
    assert a.summary().metrics == b.summary().metrics


def test_a_run_begins_with_the_weights_and_keeps_whose_they_were(first: RunFolder, tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    still = {"lr": 1e-30}
    assert train(RunCLI(config(first.path, still, sgd={"weight_decay": 0})), run)
    before, after = weights(first), weights(run)
    for name in dict(LitResNet(NetConfig(depth=8, in_channels=1)).named_parameters()):
        assert torch.equal(before[name], after[name])
    start = start_weights(str(first.path)).started
    assert run.summary().start == run.status().start == start
    assert (start.net, start.path) == ("ResNet-8", str(first.path))
    assert first.summary().start is first.status().start is None


@pytest.mark.parametrize("killed", [2, 5, 6])
def test_it_goes_on_bit_for_bit_also_where_the_weights_are_gone(first, started, tmp_path: Path, killed: int):
    moved, run = tmp_path / "moved", RunFolder(tmp_path / "run")
    shutil.copytree(first.path, moved)
    with pytest.raises(Killed):
        train(RunCLI(config(moved, bn_images=70)), run, clock=Saves(killed, killed=killed))
    shutil.rmtree(moved)
    assert train(RunCLI(config(moved, bn_images=70)), run)
    assert_same(started, run)
    assert run.summary().start.digest == started.summary().start.digest


def test_other_weights_in_the_same_place_make_another_run(first: RunFolder, tmp_path: Path):
    place, run = tmp_path / "place", RunFolder(tmp_path / "run")
    shutil.copytree(first.path, place)
    with pytest.raises(Killed):
        train(RunCLI(config(place)), run, clock=Saves(3, killed=3))
    checkpoint = torch.load(place / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(checkpoint | {"global_step": 7}, place / "checkpoints" / "last.ckpt")
    message = rf"run: started from other weights than {place} has now \(SHA-256 \w{{12}}, not \w{{12}}\); put those"
    with pytest.raises(InputError, match=message):
        train(RunCLI(config(place)), run)
    assert run.status().state == "failed"
    assert train(RunCLI(config(first.path)), run), "the same weights in another place"


def test_weights_that_are_missing_or_of_another_net_end_it_in_one_line(first: RunFolder, tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match="model.start: nowhere: missing; write the folder"):
        train(RunCLI(config("nowhere")), run)
    assert (run.status().state, run.status().error[:20]) == ("failed", "model.start: nowhere")
    other = config(first.path)
    other["model"]["net"] = {"depth": 14}
    for attempt in (lambda: train(RunCLI(other), run), lambda: check(RunCLI(other))):
        with pytest.raises(InputError, match=f"{first.path} has the weights of ResNet-8, not of ResNet-14"):
            attempt()
    assert train(RunCLI(config(first.path)), run), "what trained nothing can be mended"


def test_a_last_layer_of_other_classes_is_fresh(first: RunFolder, capsys: pytest.CaptureFixture[str]):
    start = start_weights(str(first.path))
    module = LitResNet(NetConfig(depth=8, in_channels=1, num_classes=4), start=start.path)
    fresh = module.net.fc.weight.clone()
    module.begin_from(start)
    assert torch.equal(module.net.fc.weight, fresh)
    assert torch.equal(module.net.conv1.weight, start.weights["conv1.weight"])
    assert f"the last layer is fresh: {first.path} has 10 classes, and this run 4" in capsys.readouterr().err
    assert module.hparams["start"] == start.path


def test_what_a_start_means_for_sameness():
    fresh, here, there = config(), config("a/run"), config("b/run")
    assert same_run(here, there) == may_resume(here, there) == trained_alike(here, there) == ""
    assert digest(here) == digest(there) != digest(fresh)
    for differs in (same_run, may_resume, trained_alike):
        assert differs(fresh, here) == "model.start (None, not 'trained weights')"
    complete = {"model": fresh["model"] | {"start": None, "bn_images": None}}
    assert trained_alike(fresh, fresh | complete) == "", "a run of an earlier version has no such keys"
