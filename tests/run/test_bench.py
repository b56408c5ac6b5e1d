"""`lit-resnet bench`: its columns, a tiny measurement, and what it refuses."""

import csv
import io
import multiprocessing
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch

from lit_resnet.cli import main
from lit_resnet.nets import NetConfig
from lit_resnet.probes.limits import Hardware
from lit_resnet.run import bench
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder


def test_a_row(monkeypatch, capsys):
    monkeypatch.setattr(bench, "IMAGES", 64)
    for precision, size in (("32-true", 4), ("bf16-mixed", 2)):
        row = bench.row(NetConfig(depth=8), 8, precision, 0.01, Hardware(bytes=1e9, macs=1e12))
        assert (row["net"], row["depth"], row["batch_size"], row["precision"]) == ("ResNet-8", 8, 8, precision)
        for name in ("data_images_per_second", "step_images_per_second", "images_per_second", "peak_memory_bytes"):
            assert row[name] > 0, name
        outputs = 3 * 16 * 32**2 + 2 * 32 * 16**2 + 2 * 64 * 8**2 + 10
        params = 75_290
        assert row["least_bytes_of_a_step"] == 8 * 5 * size * outputs + 7 * 4 * params
        assert row["bound"] == "memory"
        assert row["limit_images_per_second"] == pytest.approx(8e9 / row["least_bytes_of_a_step"], abs=0.1)
        expected = 100 * row["images_per_second"] / row["limit_images_per_second"]
        assert row["percent_of_limit"] == pytest.approx(expected, abs=0.01)
        texts = [text(row) for text in bench.COLUMNS.values()]
        assert texts[0] == "ResNet-8"
        assert all(texts)
        assert "1.0 GB/s" in bench.note([row])
    assert capsys.readouterr() == ("", ""), "a run's progress is not shown"


def test_a_run_of_given_images(tmp_path: Path):
    """Images whose class is their only colour: learnt at once, if they are what is trained on."""
    labels = torch.arange(64) % 2
    images = (labels * 255).to(torch.uint8)[:, None, None, None].expand(64, 3, 32, 32).contiguous()
    config = {
        "model": {"net": {"depth": 8}},
        "data": {"source": "cifar10", "root": str(tmp_path / "none"), "batch_size": 16},
        "trainer": {"max_steps": 20, "val_check_interval": 20, "log_every_n_steps": 10, "accelerator": "cpu"},
    }
    folder = RunFolder(tmp_path / "run")
    assert train(bench.RunOfImages(config, (images, labels, images[:16], labels[:16])), folder)
    assert folder.summary().metrics["train_error"] < 20
    assert not (tmp_path / "none").exists()


def test_the_verb(monkeypatch, capsys):
    monkeypatch.setattr(bench, "IMAGES", 64)
    monkeypatch.setattr(bench, "hardware", lambda device, dtype: Hardware(bytes=1e9, macs=1e9))
    monkeypatch.setattr(bench, "alone", lambda function, *args: function(*args))
    argv = ["bench", "--depths", "8", "14", "--batch-size", "4", "--seconds", "0.02", "--format", "csv"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["net"] for row in rows] == ["ResNet-8", "ResNet-14"]
    assert "a copy reads and writes 1.0 GB/s" in err


def test_alone_is_another_process(monkeypatch):
    fork = multiprocessing.get_context("fork")  # a server would import lightning first; tests of launches have one
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: fork)
    assert bench.alone(os.getpid) != os.getpid()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depths", "20", "21"], "--depths: depth is 21: a cifar net has 6n+2 layers; the nearest are 20 and 26"),
        (["--batch-size", "0"], "--batch-size is 0: write 1 or more"),
        (["--seconds", "0"], "--seconds is 0.0: write a number above 0, such as 1.5"),
        (["--seconds", "nan"], "--seconds is nan: write a number above 0, such as 1.5"),
    ],
)
def test_refused(options: list[str], message: str, capsys):
    assert main(["bench", *options]) == 2
    assert capsys.readouterr().err.strip() == f"lit-resnet: {message}"


def test_a_measurement_that_was_stopped_says_so(monkeypatch, capsys):
    monkeypatch.setattr(bench, "IMAGES", 64)
    monkeypatch.setattr(bench, "hardware", lambda device, dtype: Hardware(bytes=1e9, macs=1e9))
    monkeypatch.setattr(bench, "alone", lambda function, *args: function(*args))
    monkeypatch.setattr(bench, "train", lambda cli, folder: False)  # as after a SIGTERM
    assert main(["bench", "--depths", "8", "--batch-size", "4", "--seconds", "0.02"]) == 2
    assert "the measurement was stopped before its end: start it again" in capsys.readouterr().err


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, BrokenProcessPool])
def test_too_little_memory(error: type[Exception], monkeypatch, capsys):
    def alone(function, *args):
        if function is bench.row:
            raise error
        return Hardware(bytes=1e9, macs=1e9)

    monkeypatch.setattr(bench, "alone", alone)
    assert main(["bench", "--depths", "8", "--batch-size", "4096"]) == 2
    assert "--batch-size is 4096: ResNet-8 needs more memory; write a smaller one" in capsys.readouterr().err
