"""A second task is a module, its data and an entry: it is trained by `fit`, and leaves its own metrics."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from extending import Add
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lit_resnet import task
from lit_resnet.cli import main
from lit_resnet.data.stream import Stretches
from lit_resnet.errors import InputError
from lit_resnet.metrics import IMAGES_PER_SECOND, LR, TRAIN_LOSS, Metric
from lit_resnet.nets import NetConfig, build
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import Task
from lit_resnet.training import recorder
from lit_resnet.training.iterations import Iterations, Speed
from lit_resnet.training.schedule import Rate
from lit_resnet.training.sgd import Sgd
from lit_resnet.training.window import Counts

Batch = tuple[Tensor, Tensor]
DISTANCE = Metric("test_distance", "test distance", unit="px", digits=3)
SIDE = 4


@dataclass(frozen=True)
class ToyNet:
    """A layer that says where in an image something is.

    Args:
        outputs: Coordinates.
    """

    outputs: int = 2

    def __str__(self) -> str:
        return f"toy-{self.outputs}"


class Layer(nn.Module):
    def __init__(self, config: ToyNet) -> None:
        super().__init__()
        self.config = config
        self.fc = nn.Linear(SIDE * SIDE, config.outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1))


class Toy(Iterations):
    """Trained to the least squared distance.

    Args:
        net: The net.
        rate: Its learning rate.
        sgd: SGD's values.
    """

    PLATEAU_METRICS = ("test_distance",)

    def __init__(self, net: ToyNet = ToyNet(), rate: Rate = Rate(lr=0.01), sgd: Sgd = Sgd()) -> None:  # noqa: B008
        super().__init__(Layer(net), rate, sgd, Speed(channels_last=False))
        self.distances: list[Tensor] = []

    def loss(self, batch: Batch) -> tuple[Tensor, Counts]:
        squares = (self.net(batch[0]) - batch[1]).square().sum(1)
        return squares.mean(), Counts(len(batch[0]), {"train_loss": squares.sum()})

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.distances.append((self.net(batch[0]) - batch[1]).norm(dim=1))

    def evaluation(self) -> dict[str, float]:
        distances, self.distances = torch.cat(self.distances), []
        return {"test_distance": distances.mean().item()}


class Noise:
    """Batch k is a function of k."""

    def __init__(self, size: int, position: int) -> None:
        self.size, self.position = size, position

    def __iter__(self) -> Iterator[Batch]:
        while True:
            drawn = torch.Generator().manual_seed(self.position)
            self.position += 1
            images = torch.rand(self.size, 1, SIDE, SIDE, generator=drawn)
            yield images, images.flatten(1)[:, :2]


class ToyData(LightningDataModule):
    """Images of noise.

    Args:
        batch_size: Images of a batch.
        stretch: Iterations of a training step.
    """

    name, image_shape = "noise", (1, SIDE, SIDE)

    def __init__(self, batch_size: int = 8, stretch: int = 1) -> None:
        super().__init__()
        self.batch_size, self.stretch = batch_size, stretch
        self.damaged_files: list[str] = []
        self.restored: dict[str, Any] | None = None

    def train_dataloader(self) -> Stretches:
        return Stretches(Noise(self.batch_size, self.trainer.global_step), self.stretch)

    def val_dataloader(self) -> DataLoader:
        return DataLoader([next(iter(Noise(16, 1000)))], batch_size=None)

    def check(self, config: Namespace) -> None:
        if config.data.batch_size > 100:
            raise InputError("data.batch_size: write 100 or less")

    def state(self) -> dict[str, Any]:
        return {"seen": self.trainer.global_step}

    def restore(self, state: dict[str, Any]) -> None:
        self.restored = state


@pytest.fixture(autouse=True)
def _two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = (TRAIN_LOSS, LR, IMAGES_PER_SECOND, DISTANCE)
    toy = Task("toy", f"{__name__}:Toy", f"{__name__}:ToyData", metrics=metrics, headline=DISTANCE)
    monkeypatch.setitem(task.TASKS, "toy", toy)


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


def test_a_resume_goes_on_with_the_state_of_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    assert train(RunCLI(CONFIG), whole)

    def die(self, trainer) -> None:
        if trainer.global_step == 3:
            self._save(trainer)
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(recorder.Recorder, "_save_if_due", die)
        with pytest.raises(ZeroDivisionError):
            train(RunCLI(CONFIG), stopped)
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
        ({**CONFIG, "task": "toys"}, r"task is 'toys': write one of classification, toy; did you mean toy\?"),
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
