"""Two processes that train together (DDP over gloo): the paper's two GPUs, on a CPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lit_resnet.nets import build
from lit_resnet.runfolder import RunFolder
from lit_resnet.training.config import RunCLI
from lit_resnet.training.module import load_weights
from lit_resnet.training.run import train

STEPS = 12


def config(batch_size: int, **model) -> dict:
    return {
        "seed_everything": 1,
        "model": {"net": {"depth": 8}, "warmup_lr": 0.02, "warmup_window": 3, "warmup_error": 88, **model},
        # 499 images are held out: an odd number, of which two processes cannot have the same share.
        "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": batch_size, "val_size": 499},
        "trainer": {"max_steps": STEPS, "val_check_interval": 6, "log_every_n_steps": 4, "accelerator": "cpu"},
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> RunFolder:
    """A run of two processes with 32 images each, through the command line."""
    folder = tmp_path_factory.mktemp("two")
    content = config(32)
    content["trainer"] |= {"devices": 2, "strategy": "ddp"}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "lit_resnet", "fit", "--config", str(folder / "config.yaml")]
    run = folder / "run"
    done = subprocess.run([*command, "--trainer.default_root_dir", str(run)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return RunFolder(run)


@pytest.mark.timeout(300)
def test_two_processes_train_like_one_whose_bn_takes_groups(two: RunFolder, tmp_path: Path):
    """Same images in the same batches, same gradients, BN over 32 of the 64 images: the same weights."""
    one = RunFolder(tmp_path / "one")
    assert train(RunCLI(config(64, bn_group=32)), one)
    assert one.summary()["batch_size"] == two.summary()["batch_size"] == 64
    assert one.summary()["warmup_steps"] == two.summary()["warmup_steps"] is not None
    # Loss and error are those of the images of both processes, each counted once.
    curves = [[row for row in run.metrics() if row["train_loss"] is not None] for run in (one, two)]
    assert len(curves[0]) == STEPS // 4
    for a, b in zip(*curves, strict=True):
        for key in ("step", "train_loss", "train_error", "lr"):
            assert b[key] == pytest.approx(a[key], rel=1e-4)
    nets = []
    for folder in (one, two):
        nets.append(build(RunCLI(config(64)).check()[1]))
        load_weights(nets[-1], folder.checkpoints / "last.ckpt")
    for (name, a), b in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


def test_errors_of_two_processes_are_those_of_their_checkpoint(two: RunFolder):
    """Every image is counted once, by the net that is in the checkpoint."""
    cli = RunCLI(config(32))
    data, net_config = cli.check()
    data.setup("test")
    net = build(net_config).eval()
    load_weights(net, two.checkpoints / "last.ckpt")
    for split, (images, labels) in {"test": data.test, "val": data.val}.items():
        with torch.inference_mode():
            wrong = (net((images - data.mean) / 255).argmax(1) != labels).sum().item()
        assert two.metrics()[-1][f"{split}_error"] == pytest.approx(100 * wrong / len(labels), abs=1e-4)
