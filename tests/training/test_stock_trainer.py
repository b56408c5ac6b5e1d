"""The module and the data in a Trainer of one's own, with Lightning's own callbacks, and with anybody's data."""

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
    ThroughputMonitor,
    Timer,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.tuner import Tuner
from torch.utils.data import DataLoader, TensorDataset

from lit_resnet import ImageData, LitResNet, NetConfig
from lit_resnet.data.augment import subtract_mean
from lit_resnet.training.schedule import Rate

SMALL = NetConfig(depth=8, in_channels=1)


def trainer(folder: Path, **more: Any) -> Trainer:
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(default_root_dir=folder, **{"logger": False, "enable_checkpointing": False} | quiet | more)


def digits(**more: Any) -> ImageData:
    return ImageData("digits", pad=1, flip=False, batch_size=128, **more)


class Steps(Callback):
    """Writes down what it sees."""

    def __init__(self) -> None:
        self.batches: list[torch.Tensor] = []
        self.evaluated: list[int] = []
        self.epochs = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        images, _ = batch
        self.batches.append(images)

    def on_validation_end(self, trainer, pl_module):
        self.evaluated.append(trainer.global_step)

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs += 1


@pytest.fixture(scope="module")
def loader() -> DataLoader:
    """Somebody's own data: 64 random images of two classes that are easy to tell apart."""
    labels = torch.arange(64) % 2
    images = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 2 * labels[:, None, None, None]
    return DataLoader(TensorDataset(images, labels), batch_size=16)


def test_epochs_are_passes_over_the_images(tmp_path: Path):
    steps = Steps()
    data = digits()
    trainer(tmp_path, max_epochs=2, callbacks=[steps], num_sanity_val_steps=0).fit(LitResNet(SMALL), data)
    length = -(-1297 // 128)
    assert (len(steps.batches), steps.epochs, steps.evaluated) == (2 * length, 2, [length, 2 * length])
    endless = digits(stretch=1)
    endless.setup("fit")
    for (ours, _), theirs in zip(endless.train_dataloader(), steps.batches, strict=False):
        assert torch.equal(ours, theirs), "the batches of a run, which knows no epochs"


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        ({"fast_dev_run": True}, 1),
        ({"limit_train_batches": 3, "max_epochs": 2}, 6),
        ({"overfit_batches": 2, "max_epochs": 3}, 6),
        ({"max_steps": 5}, 5),
    ],
)
def test_limits_mean_what_they_say(tmp_path: Path, limits: dict, seen: int):
    steps = Steps()
    own = trainer(tmp_path, callbacks=[steps], num_sanity_val_steps=0, limit_val_batches=1, **limits)
    own.fit(LitResNet(SMALL), digits())
    assert len(steps.batches) == seen
    same = [torch.equal(batch, steps.batches[0]) for batch in steps.batches]
    assert same == [i == 0 or ("overfit_batches" in limits and i % 2 == 0) for i in range(seen)]


def test_a_run_in_epochs_resumes_in_the_middle_of_one(tmp_path: Path):
    def weights(own: Trainer, ckpt: str | None = None) -> dict:
        torch.manual_seed(3)
        model = LitResNet(SMALL)
        own.fit(model, digits(), ckpt_path=ckpt, weights_only=True if ckpt else None)
        return model.net.state_dict()

    whole = weights(trainer(tmp_path, max_steps=16, num_sanity_val_steps=0))
    first = trainer(tmp_path, max_steps=14, num_sanity_val_steps=0)
    weights(first)
    first.save_checkpoint(tmp_path / "half.ckpt")
    resumed = weights(trainer(tmp_path, max_steps=16, num_sanity_val_steps=0), str(tmp_path / "half.ckpt"))
    assert all(torch.equal(a, resumed[name]) for name, a in whole.items())


def test_somebodys_own_data(tmp_path: Path, loader: DataLoader):
    model = LitResNet(NetConfig(depth=8, in_channels=1, num_classes=2), Rate(lr=0.05))
    own = trainer(tmp_path, max_epochs=4, callbacks=[EarlyStopping("val_loss", patience=3)], log_every_n_steps=2)
    own.fit(model, loader, loader)
    assert {"train_error", "val_error", "val_loss"} <= own.callback_metrics.keys()
    assert "test_error" not in own.callback_metrics, "one validation loader is one split"
    (validated,) = own.validate(model, loader, verbose=False)
    assert validated.keys() == {"val_loss", "val_error"}
    (tested,) = own.test(model, loader, verbose=False)
    assert tested == {f"test{name[3:]}": value for name, value in validated.items()}
    both = own.validate(model, [loader, loader], verbose=False)
    assert {"val_error", "val_1_error"} <= both[0].keys() | both[-1].keys()
    shares = torch.cat(own.predict(model, loader))
    assert shares.shape == (64, 2)
    assert torch.allclose(shares.sum(1), torch.ones(64))
    wrong = 100 * (shares.argmax(1) != loader.dataset.tensors[1]).float().mean().item()
    assert wrong == pytest.approx(tested["test_error"], abs=1e-3)


def test_the_data_set_tests_and_predicts(tmp_path: Path):
    model, data = LitResNet(SMALL), digits(val_size=100)
    own = trainer(tmp_path)
    (tested,) = own.test(model, data, verbose=False)
    assert tested.keys() == {"test_loss", "test_error"}
    shares = torch.cat(own.predict(model, data))
    wrong = 100 * (shares.argmax(1) != data.test[1]).float().mean().item()
    assert wrong == pytest.approx(tested["test_error"], abs=1e-3)
    assert own.validate(model, data, verbose=False)[0].keys() >= {"test_error"}
    assert "val_error" in own.callback_metrics
    assert data.classes == tuple("0123456789")


def test_a_checkpoint_is_all_that_a_module_needs(tmp_path: Path, loader: DataLoader):
    config = NetConfig(depth=8, in_channels=1, num_classes=2, shortcut="C")
    model = LitResNet(config, Rate(lr=0.03, milestones=(7, 9)), bn_group=8)
    own = trainer(tmp_path, max_steps=0)
    own.strategy.connect(model)
    own.save_checkpoint(tmp_path / "fresh.ckpt")  # before any training
    own = trainer(tmp_path, max_steps=3, num_sanity_val_steps=0)
    own.fit(model, loader, loader)
    own.save_checkpoint(tmp_path / "own.ckpt")
    kept = torch.load(tmp_path / "own.ckpt", weights_only=True)
    assert kept["hyper_parameters"]["net"]["shortcut"] == "C"
    again = LitResNet.load_from_checkpoint(tmp_path / "own.ckpt")
    assert (again.config, again.rate.rule, again.bn_group) == (config, Rate(lr=0.03, milestones=(7, 9)), 8)
    images = next(iter(loader))[0]
    assert torch.equal(again.eval()(images), model.eval()(images))
    assert LitResNet.load_from_checkpoint(tmp_path / "fresh.ckpt").config == config


def test_loggers_and_callbacks_of_lightning(tmp_path: Path):
    own = trainer(
        tmp_path,
        max_epochs=1,
        logger=CSVLogger(tmp_path, "log", ""),
        log_every_n_steps=5,
        enable_checkpointing=True,
        callbacks=[
            LearningRateMonitor(),
            by_steps := ModelCheckpoint(every_n_train_steps=3, save_top_k=-1),
            best := ModelCheckpoint(monitor="test_error", dirpath=tmp_path / "best"),
        ],
    )
    own.fit(LitResNet(SMALL), digits())
    assert len(list(Path(by_steps.dirpath).glob("*.ckpt"))) == 3
    assert Path(best.best_model_path).is_file()
    with (tmp_path / "log" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"lr", "lr-SGD/pg1", "train_error"} <= rows[0].keys()
    evaluated = [row["step"] for row in rows if row["test_error"]]
    assert evaluated == ["11"], "the evaluation that checks sanity is no result"
    hparams = (tmp_path / "log" / "hparams.yaml").read_text()
    assert "depth: 8" in hparams
    assert "source: digits" in hparams


def test_what_counts_batches_images_or_seconds(tmp_path: Path):
    throughput = ThroughputMonitor(batch_size_fn=lambda batch: len(batch[0]), window_size=2)
    log = CSVLogger(tmp_path, "log", "")
    trainer(tmp_path, max_steps=4, log_every_n_steps=2, logger=log, callbacks=[throughput]).fit(
        LitResNet(SMALL), digits()
    )
    with (tmp_path / "log" / "metrics.csv").open() as file:
        assert [row["train/samples"] for row in csv.DictReader(file) if row["train/samples"]] == ["256", "512"]
    own = trainer(tmp_path, max_steps=10**6, callbacks=[timer := Timer(timedelta(seconds=0.2))])
    own.fit(LitResNet(SMALL), digits())
    assert 0.2 < timer.time_elapsed() < 10
    data = digits()
    tuner = Tuner(trainer(tmp_path, limit_val_batches=0))
    assert tuner.scale_batch_size(LitResNet(SMALL), datamodule=data, steps_per_trial=1, max_trials=2, init_val=8) == 16
    assert data.batch_size == 16


def test_weights_are_averaged_over_epochs(tmp_path: Path):
    averaged = StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1)
    own = trainer(tmp_path, max_epochs=3, callbacks=[averaged], num_sanity_val_steps=0)
    own.fit(LitResNet(SMALL), digits())
    assert averaged.n_averaged is not None
    assert int(averaged.n_averaged) > 1


def test_levels_are_scaled_as_in_a_run():
    data = digits()
    data.setup("test")
    images, _ = next(iter(data.test_dataloader()))
    assert torch.equal(images, subtract_mean(data.test[0][: len(images)], data.mean))
