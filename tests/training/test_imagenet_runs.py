"""Runs on photographs: read by a worker while they train, with a rate that falls on plateaus, judged at their end."""

from pathlib import Path

import numpy as np
import pytest
import torch
from clocks import Killed, Saves
from lab import METRICS
from PIL import Image
from together import train_together

from lit_resnet.nets import build
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.weights import load_weights

STEPS, VAL = 16, 4


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Five classes of 5 photographs to train on and 3 to validate: 15, which two processes do not divide."""
    root = tmp_path_factory.mktemp("photographs")
    noise = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 3)):
        for name in range(5):
            (root / split / f"n{name}").mkdir(parents=True)
            for i in range(count):
                pixels = noise.integers(0, 256, (20 + i, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / f"n{name}" / f"{i}.JPEG", quality=95)
    return root


def config(root: Path, **model) -> dict:
    # An evaluation that must be 100 points better never is: the rate falls after each but the first.
    return {
        "seed_everything": 1,
        "model": {
            "net": {"depth": 8},
            "rate": {"milestones": [], "plateau_patience": 1, "plateau_least": 100},
            **model,
        },
        "data": {
            "source": "imagenet",
            "root": str(root),
            "batch_size": 8,
            "photographs": {"short_side": [18, 24], "crop": 16, "test_short_side": 18, "workers": 1},
        },
        "trainer": {"max_steps": STEPS, "val_check_interval": VAL, "log_every_n_steps": 4, "accelerator": "cpu"},
        "evaluate": ["center", "ten-crop", "multi-scale"],
    }


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory) -> RunFolder:
    """A run that nobody disturbed."""
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    assert train(RunCLI(config(root)), folder)
    return folder


def test_the_rate_falls_on_plateaus(whole: RunFolder):
    assert [row["lr"] for row in METRICS.read(whole.path)] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert whole.summary().plateaus == (8, 12, 16)


def test_the_last_model_is_judged(whole: RunFolder):
    found = whole.evaluations()
    assert set(found) == {"center", "ten-crop", "multi-scale"}
    assert found["center"]["top1_error"] == whole.summary().metrics["test_error"]  # no ties among so few scores
    assert {entry["images"] for entry in found.values()} == {15}


@pytest.mark.parametrize(("saved", "killed"), [(8, 8), (9, 11), (12, 14)])
def test_a_killed_run_ends_like_the_undisturbed_one(
    root: Path, whole: RunFolder, tmp_path: Path, saved: int, killed: int
):
    """At a plateau, in the middle of a stretch, and after the second plateau."""
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Killed):
        train(RunCLI(config(root)), folder, clock=Saves(saved, killed=killed))
    assert train(RunCLI(config(root)), folder)
    assert folder.summary().plateaus == whole.summary().plateaus
    left, right = (
        torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, folder)
    )
    assert all(torch.equal(left[name], right[name]) for name in left)
    rows = [[row | {"images_per_second": None} for row in METRICS.read(run.path)] for run in (whole, folder)]
    assert rows[0] == rows[1]
    errors = [[(e["top1_error"], e["top5_error"]) for e in run.evaluations().values()] for run in (whole, folder)]
    assert errors[0] == errors[1]


def test_a_net_that_drops_units_resumes_exactly(root: Path, tmp_path: Path, monkeypatch):
    """VGG: what is dropped in an iteration does not depend on where the run was resumed."""
    monkeypatch.setattr("lit_resnet.nets.vgg.WIDTHS", (2, 2, 2, 2, 2))
    monkeypatch.setattr("lit_resnet.nets.vgg.HIDDEN", 64)
    content = config(
        root,
        net={"family": "vgg", "depth": 16, "shortcut": "none"},
        rate={"lr": 0.001, "milestones": [], "plateau_patience": 1, "plateau_least": 100},
    )
    content["data"]["photographs"] |= {"short_side": [32, 36], "crop": 32, "test_short_side": 34, "workers": 0}
    content["trainer"] |= {"max_steps": 4, "val_check_interval": 4}
    content["evaluate"] = []
    runs = [RunFolder(tmp_path / name) for name in ("whole", "killed")]
    assert train(RunCLI(content), runs[0])
    with pytest.raises(Killed):
        train(RunCLI(content), runs[1], clock=Saves(2, killed=2))
    assert train(RunCLI(content), runs[1])
    left, right = (torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in runs)
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.timeout(300)
def test_two_processes_count_every_image_once(root: Path, tmp_path: Path):
    """15 images to validate and 7 held out: by one process, the checkpoint has the same errors."""
    content = config(root)
    content["data"]["val_size"] = 7
    content["trainer"]["max_steps"] = VAL
    run = train_together(content, tmp_path / "two")
    data, net_config = RunCLI(content).check()
    data.setup("test")
    net = build(net_config).eval()
    load_weights(net, run.checkpoints / "last.ckpt")
    for split, images in (("test", 15), ("val", 7)):
        loader = data.val_dataloader()[("test", "val").index(split)]
        with torch.inference_mode():
            wrong = torch.cat([net(batch).argmax(1) != labels for batch, labels in loader])
        assert len(wrong) == images
        assert METRICS.read(run.path)[-1][f"{split}_error"] == pytest.approx(
            100 * wrong.float().mean().item(), abs=1e-3
        )
    assert run.evaluations()["ten-crop"]["images"] == 15
