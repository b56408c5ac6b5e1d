"""Two processes that train together (DDP over gloo): the paper's two GPUs, on a CPU."""

import sys
from pathlib import Path

import pytest
import torch
import yaml
from lab import METRICS
from slurm_rig import Rig
from together import train_together

from lit_resnet.cli import main
from lit_resnet.nets import build
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.statistics import batch_norms
from lit_resnet.training.weights import load_weights

STEPS = 12


def config(batch_size: int, **model) -> dict:
    return {
        "seed_everything": 1,
        "model": {"net": {"depth": 8}, "rate": {"warmup_lr": 0.02, "warmup_window": 3, "warmup_error": 88}, **model}
        | {"bn_images": 300},
        # 499 images are held out: in batches of 83, one process has four of them and the other one three.
        "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": batch_size, "val_size": 499},
        "trainer": {"max_steps": STEPS, "val_check_interval": 6, "log_every_n_steps": 4, "accelerator": "cpu"},
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> RunFolder:
    """A run of two processes of 83 images each, through the command line."""
    return train_together(config(166), tmp_path_factory.mktemp("two"))


def assert_same(a: RunFolder, b: RunFolder) -> None:
    """Bit for bit."""
    weights = [torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in (a, b)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    curves = [[row | {"images_per_second": None} for row in METRICS.read(run.path)] for run in (a, b)]
    assert curves[0] == curves[1]
    assert a.summary().warmup_steps == b.summary().warmup_steps


REQUEUED = """
import os, runpy, subprocess, sys, time
from lit_resnet.training.recorder import Recorder

ended = Recorder.on_validation_end

def asked(self, trainer, module):
    if trainer.global_step == 6 and trainer.is_global_zero and self.status.attempts == 1:
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
        while not self.stop.made:  # the signal comes to both; the other one waits for this one
            time.sleep(0.05)
    ended(self, trainer, module)

Recorder.on_validation_end = asked
sys.argv[:] = sys.argv[2:]  # in place of -m and the name of a module
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.timeout(300)
def test_requeued_by_slurm_two_tasks_end_as_if_they_had_not_been(
    slurm: Rig, two: RunFolder, checked_here: None, tmp_path: Path, capsys
):
    """One on each node, under srun; in the middle of a window, too."""
    (tmp_path / "requeued.py").write_text(REQUEUED)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/requeued.py "$@"\n')
    python.chmod(0o755)
    content = config(166)
    content["trainer"] |= {"num_nodes": 2, "devices": 1, "strategy": "ddp"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    cluster = {"cpus": 1, "python": str(python)}
    (tmp_path / "two.yaml").write_text(
        yaml.safe_dump({"base": "recipe.yaml", "seeds": [1], "include": {"two": {}}, "cluster": cluster})
    )
    assert main(["launch", str(tmp_path / "two.yaml"), "--on", "slurm", "--root", str(tmp_path), "--wait"]) == 0
    run = RunFolder(tmp_path / "two" / "two-seed1")
    assert run.status().attempts == 2
    assert (run.path.parent / "report" / "index.html").exists()
    assert_same(two, run)


@pytest.mark.timeout(300)
def test_two_processes_train_like_one_whose_bn_takes_groups(two: RunFolder, tmp_path: Path):
    """Same images in the same batches, BN over 83 of the 166 images: the same weights but for rounding."""
    one, ungrouped = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "ungrouped")
    assert train(RunCLI(config(166, bn_group=83)), one)
    assert train(RunCLI(config(166)), ungrouped)
    assert one.summary().batch_size == two.summary().batch_size == 166
    assert one.summary().warmup_steps == two.summary().warmup_steps is not None
    # Loss and error are those of the images of both processes, each counted once.
    curves = [[row for row in METRICS.read(run.path) if row["train_loss"] is not None] for run in (one, two)]
    assert len(curves[0]) == STEPS // 4
    for a, b in zip(*curves, strict=True):
        for key in ("step", "train_loss", "train_error", "lr"):
            assert b[key] == pytest.approx(a[key], rel=1e-4)
    nets = [build(RunCLI(config(166)).check()[1]) for _ in range(3)]
    for net, folder in zip(nets, (two, one, ungrouped), strict=True):
        load_weights(net, folder.checkpoints / "last.ckpt")
    for (name, weight), grouped, whole in zip(
        nets[0].named_parameters(), *(n.parameters() for n in nets[1:]), strict=True
    ):
        assert (weight - grouped).norm() < 0.05 * (weight - whole).norm(), name
    # BN's statistics, which are taken at the end, are averages over the groups of one or the devices of the other.
    for layers in zip(*map(batch_norms, nets[:2]), strict=True):
        of_two, of_one = (layer.running_var for layer in layers)
        # As near as the weights, which round otherwise on each processor.
        torch.testing.assert_close(of_two, of_one, rtol=1e-2, atol=1e-3)


def test_errors_of_two_processes_are_those_of_their_checkpoint(two: RunFolder):
    """Every image is counted once, by the net that is in the checkpoint."""
    cli = RunCLI(config(166))
    data, net_config = cli.check()
    data.setup("test")
    net = build(net_config).eval()
    load_weights(net, two.checkpoints / "last.ckpt")
    for split, (images, labels) in {"test": data.test, "val": data.val}.items():
        with torch.inference_mode():
            wrong = (net((images - data.mean) / 255).argmax(1) != labels).sum().item()
        assert METRICS.read(two.path)[-1][f"{split}_error"] == pytest.approx(100 * wrong / len(labels), abs=1e-4)
