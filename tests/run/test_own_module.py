"""The task `own-data`: a LightningDataModule of a user's own, by its dotted path, in runs that stop and go on."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from clocks import Killed, Saves
from extending import code
from lab import METRICS
from PIL import Image

from lit_resnet import LitResNet, load_run
from lit_resnet.cli import main
from lit_resnet.data.module import ImageData
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.launch.plan import check
from lit_resnet.report import write
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES

CODE = """
import random

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Stripes(Dataset):
    def __init__(self, count, noise):
        self.count, self.noise = count, noise

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        image = torch.zeros(1, 6, 6)
        image[0, i % 2 * 3 :: 6] = 1
        drawn = torch.rand(1).item() + np.random.rand() + random.random()
        return image + self.noise * drawn, i % 2


class Plain(LightningDataModule):
    # Says its classes after `setup`, and has no test images.
    def __init__(self, batch_size, noise=0.5, workers=0, count=20, labels=None):
        super().__init__()
        self.batch_size, self.noise, self.workers, self.count = batch_size, noise, workers, count

    def setup(self, stage):
        assert stage == "fit"
        self.num_classes = 2

    def train_dataloader(self):
        images = Stripes(self.count, self.noise)
        return DataLoader(images, self.batch_size, shuffle=True, num_workers=self.workers, persistent_workers=False)

    def val_dataloader(self):
        return DataLoader(Stripes(10, self.noise), 4)


class Whole(Plain):
    classes, image_shape = ("upper", "lower"), (1, 6, 6)

    def setup(self, stage):
        self.stages = [*getattr(self, "stages", []), stage]

    def test_dataloader(self):
        assert self.stages == ["fit", "test"]
        return DataLoader(Stripes(6, 0), 4)

    def on_after_batch_transfer(self, batch, dataloader_idx):
        images, labels = batch
        return images - 0.5, labels


class Split(Whole):
    def setup(self, stage):
        super().setup(stage)
        self.tested = torch.randperm(20)[:6].tolist()

    def test_dataloader(self):
        return DataLoader([(torch.full((1, 6, 6), float(i)), i % 2) for i in self.tested], 6)


class Dropping(nn.Module):
    # Draws random numbers that no module of torch draws.
    def __init__(self, num_classes):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(F.dropout(self.conv(x).relu().mean((2, 3)), 0.3, self.training))

    def layers(self):
        yield "conv", self.conv


class Wrong(Plain):
    num_classes, image_shape = 2, (1, 6, 6)

    def train_dataloader(self):
        loaders = {
            "none": [],
            "dict": [{"image": torch.zeros(4, 1, 6, 6)}],
            "levels": [(torch.zeros(4, 1, 6, 6, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))],
            "label": [(torch.zeros(4, 1, 6, 6), torch.tensor([0, 1, 2, 0]))],
            "shares": [(torch.zeros(4, 1, 6, 6), torch.zeros(4, 2))],
            "size": [(torch.zeros(3, 1, 6, 6), torch.zeros(3, dtype=torch.long))],
        }
        return loaders[self.noise]


class Unsaid(Plain):
    def setup(self, stage):
        pass


class Same(Whole):
    def train_dataloader(self):
        images = Stripes(self.count, self.noise)
        made = DataLoader(images, self.batch_size, num_workers=1, persistent_workers=True)
        self.loader = getattr(self, "loader", made)
        return self.loader


class Seeded(Whole):
    def train_dataloader(self):
        return DataLoader(Stripes(8, 0), 8, generator=torch.Generator())


class Two(Whole):
    classes = 2


class One(Whole):
    classes = ("upper",)


class Flat(Whole):
    image_shape = 6


class Empty(Whole):
    def test_dataloader(self):
        return []


class None_(Whole):
    def train_dataloader(self):
        return None


class Broken(Plain):
    def val_dataloader(self):
        raise OSError("the disk\\nis away")


class Untested(LightningDataModule):
    def train_dataloader(self):
        return []
"""
CONFIG = {
    "task": "own-data",
    "model": {"net": {"own": "mymodule.Dropping"}, "rate": {"lr": 0.05}},
    "data": {"module": "mymodule.Whole", "batch_size": 8},
    "trainer": {"max_steps": 9, "val_check_interval": 3, "log_every_n_steps": 3, "accelerator": "cpu"},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder with code in it, from which commands are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("mymodule.py").write_text(CODE)
    yield
    sys.modules.pop("mymodule", None)


def config(data: dict[str, Any] | None = None, **trainer: Any) -> dict[str, Any]:
    return CONFIG | {"data": CONFIG["data"] | (data or {}), "trainer": CONFIG["trainer"] | trainer}


def numbers(run: RunFolder) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Weights, and all rows but for the speed."""
    weights = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    rows = [{key: value for key, value in row.items() if key != "images_per_second"} for row in METRICS.read(run.path)]
    return weights, rows


@pytest.mark.parametrize(
    ("data", "callbacks", "killed"),
    [
        ({}, [], 4),  # in the second epoch, which is of 8, 8 and 4 images
        ({"args": {"workers": 1}}, [], 5),
        ({"args": {"count": 8}}, [{"class_path": "Timer"}], 3),  # an epoch each iteration, and single steps
        ({"module": "mymodule.Plain"}, [{"class_path": "Timer"}], 6),  # at the end of an epoch
    ],
)
def test_a_killed_run_ends_like_the_undisturbed_one(tmp_path: Path, data: dict, callbacks: list, killed: int):
    said = config(data, callbacks=callbacks)
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    assert train(RunCLI(said), whole)
    with pytest.raises(Killed):
        train(RunCLI(said), stopped, clock=Saves(killed, killed=killed))
    torch.rand(3)  # another process has drawn other numbers
    assert train(RunCLI(said), stopped)
    (a, rows), (b, others) = numbers(whole), numbers(stopped)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert rows == others
    summary, other = whole.summary(), stopped.summary()
    assert summary
    assert other
    assert summary.metrics == other.metrics
    assert summary.test_images == other.test_images is not None
    assert (summary.metrics["val_error"] is None) == (data.get("module") == "mymodule.Plain")


def test_statistics_of_bn_are_taken_over_the_batches_that_would_follow(tmp_path: Path):
    said = config() | {"model": {"net": {"depth": 8}, "rate": {"lr": 0.05}, "bn_images": 50}}  # over three epochs
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    assert train(RunCLI(said), whole)
    for killed in (4, 9):
        with pytest.raises(Killed):
            train(RunCLI(said), stopped, clock=Saves(killed, killed=killed))
    assert train(RunCLI(said), stopped)
    (a, rows), (b, others) = numbers(whole), numbers(stopped)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert a["net.bn1.num_batches_tracked"] == 7
    assert rows == others


def test_epochs_differ_and_have_every_image_once():
    data = RunCLI(config({"args": {"noise": 0.0}})).data()
    data.setup("fit")
    stream = iter(data.train_dataloader())
    labels = [[batch[1] for batch in next(stream)] for _ in range(2)]  # stretches of an epoch each
    assert [[len(batch) for batch in epoch] for epoch in labels] == [[8, 8, 4]] * 2
    first, second = map(torch.cat, labels)
    assert not torch.equal(first, second)
    assert first.sum() == second.sum() == 10
    (images, _), *_ = data.test_dataloader()
    assert images.min() == -0.5, "the module's own hook"


def test_a_split_that_setup_draws_is_one_of_the_data():
    tested = []
    for seed in (1, 2):
        data = RunCLI(config({"module": "mymodule.Split"})).data()
        torch.manual_seed(seed)
        data.setup("fit")
        assert torch.initial_seed() == seed
        tested.append(data.test_digest())
    assert tested[0] == tested[1]


def test_the_module_of_the_docs(tmp_path: Path):
    ((_, block),) = code("A LightningDataModule of your own", "data.md")
    Path("mymodule.py").write_text(block)
    for split, kind in (("train", "cat"), ("train", "dog"), ("val", "cat"), ("val", "dog")):
        (tmp_path / split / kind).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (12, 10), (60 * i, 0, 200)).save(tmp_path / split / kind / f"{i}.png")
    args = {"root": str(tmp_path), "size": 8, "workers": 0}
    run = RunFolder(tmp_path / "run")
    said = config({"module": "mymodule.Photos", "args": args, "batch_size": 2}, max_steps=3)
    assert train(RunCLI(said | {"model": {"net": {"depth": 8}}}), run)
    summary = run.summary()
    assert summary
    assert (summary.net, summary.data, summary.net_config["num_classes"]) == ("ResNet-8", "Photos", 2)


def test_a_grid_of_it_and_what_becomes_of_its_runs(capsys: pytest.CaptureFixture[str]):
    said = config()
    del said["model"]["net"]
    Path("recipe.yaml").write_text(yaml.safe_dump(said))
    include = {
        "own": {"model.net.own": "mymodule.Dropping"},
        "plain": {"model.net.depth": 8, "model.net.shortcut": "none", "data.args.noise": 0.25},
    }
    Path("mine.yaml").write_text(yaml.safe_dump({"base": "recipe.yaml", "include": include}, sort_keys=False))
    asked = Asked("mine.yaml")
    assert [p.net for p in check(asked.grid)] == ["Dropping", "plain-8"]
    for cell in asked.grid.cells:
        assert train(RunCLI(asked.grid.config(cell)), asked.folder(cell))
    report = write(asked)
    assert "plain-8" in report.table.markdown()
    assert not list((Path("runs") / "mine" / "report").glob("claims*")), "the paper says nothing of these images"
    run = asked.folder(asked.grid.cells[0])
    assert [row["name"] for row in RESPONSES.read(run.path)] == ["conv"]
    assert main(["responses", str(run.path)]) == 0
    last = str(run.checkpoints / "last.ckpt")
    assert main(["test", "--config", str(run.config_file), "--ckpt_path", last]) == 0
    summary = run.summary()
    assert summary
    assert f"test_error {summary.metrics['test_error']:.4f}" in capsys.readouterr().out
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["data"]["classes"].reverse()
    torch.save(checkpoint, "reversed.ckpt")
    assert main(["test", "--config", str(run.config_file), "--ckpt_path", "reversed.ckpt"]) == 2
    words = "class 1 of these images is upper, and of the net lower"
    assert words in capsys.readouterr().err
    data = RunCLI(asked.grid.config(asked.grid.cells[0])).data()
    with pytest.raises(InputError, match=f"data.module: mymodule.Whole: {words}"):
        data.restore(checkpoint["data"])
    assert main(["evaluate", str(run.path)]) == 2
    assert "judge it by lit-resnet test --config" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"prepared by mymodule.Whole,.*load_from_checkpoint\(file\)"):
        load_run(run.path)
    assert str(LitResNet.load_from_checkpoint(last, weights_only=True).config) == "Dropping"
    # Without being told, nothing imports what a folder names.
    del sys.modules["mymodule"]
    assert main(["responses", str(asked.folder(asked.grid.cells[1]).path)]) == 2
    assert "needs mymodule.Whole, code of your own" in capsys.readouterr().err
    assert "mymodule" not in sys.modules


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"module": ""}, "data.module is '': write the dotted path of your own, mypackage.Birds"),
        ({"module": "mymodule.Whole", "args": {"nois": 1}}, "mymodule.Whole cannot be made: .*'nois'"),
        ({"module": "mymodule.Stripes", "args": {"count": 1, "noise": 1}}, "is no LightningDataModule"),
        ({"module": "mymodule.none"}, "mymodule has no none"),
        ({"module": "mymodule.Unsaid"}, "says neither num_classes nor classes: give it one"),
        ({"module": "mymodule.Broken"}, "mymodule.Broken cannot read its data: OSError: the disk is away"),
        ({"module": "mymodule.Two"}, "mymodule.Two cannot read its data: TypeError: 'int' object is not iterable"),
        ({"module": "mymodule.One"}, "its images are of one class, .*: put them into a folder for each class"),
        ({"module": "mymodule.Flat"}, "mymodule.Flat cannot read its data: TypeError"),
        ({"module": "mymodule.Untested"}, "needs train_dataloader, and test_dataloader or val_dataloader"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"pad": 4}, "unknown key data.pad"),
    ],
)
def test_mistakes_that_are_told_before_a_run(data: dict, message: str):
    with pytest.raises(InputError, match=message):
        RunCLI(config(data)).check()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("none", "its train_dataloader gives no batches"),
        ("dict", r"gives batches that are no \(images, labels\): collate them so"),
        ("levels", r"gives images of \[4, 1, 6, 6\], torch.uint8: give \[N, 1, H, W\] of floats"),
        ("label", "has the label 2, and 2 classes: write whole numbers from 0"),
        ("shares", r"gives labels of \[4, 2\], torch.float32: give \[N\]"),
        ("size", "data.batch_size is 4, and data.module gives 3 images at a time: write 3"),
    ],
)
def test_mistakes_in_batches(what: str, message: str):
    data = RunCLI(config({"module": "mymodule.Wrong", "args": {"noise": what}, "batch_size": 4})).data()
    data.setup("fit")
    with pytest.raises(InputError, match=message):
        list(next(iter(data.train_dataloader())))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("Same", "is always the same one, with persistent workers, so that an epoch depends"),
        ("Seeded", "has a generator of its own, which a run that goes on would not find where it was"),
        ("None_", "it gives NoneType for a DataLoader: return one"),
    ],
)
def test_loaders_that_a_run_cannot_go_on_with(module: str, message: str):
    data = RunCLI(config({"module": f"mymodule.{module}"})).data()
    data.setup("fit")
    with pytest.raises(InputError, match=message):
        list(next(iter(data.train_dataloader())))


def test_what_else_is_refused():
    with pytest.raises(InputError, match="a loader of test or validation images gives no batches"):
        list(RunCLI(config({"module": "mymodule.Empty"})).data().test_dataloader())
    with pytest.raises(InputError, match="trainer.devices is 2, num_nodes 1: data of your own train on one device"):
        RunCLI(config(devices=2)).check()
    with pytest.raises(InputError, match="is a LightningDataModule: write task: own-data, and it as data.module"):
        ImageData("mymodule.Whole")
