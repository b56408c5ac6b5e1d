"""Run folders as a grid of real runs would leave them, made in a second."""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lit_resnet.metrics import LR, Metric
from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES, SIGNALS
from lit_resnet.runfolder.started import Started
from lit_resnet.runfolder.status import Status
from lit_resnet.runfolder.summary import Summary
from lit_resnet.sameness import setting
from lit_resnet.task import CLASSIFICATION, DETECTION, TASKS, Task

METRICS = records.metrics(CLASSIFICATION)

# Parameters and conv+fc multiply-adds: of 6n+2 layers for a 32x32 image, of the others for one of 224x224.
NETS = {
    16: (138_357_544, 15_470_264_320),
    18: (11_689_512, 1_814_073_344),
    34: (21_797_672, 3_663_761_408),
    50: (25_557_032, 3_857_973_248),
    101: (44_549_160, 7_570_194_432),
    152: (60_192_808, 11_282_415_616),
    20: (269_722, 40_551_040),
    32: (464_154, 68_862_592),
    44: (658_586, 97_174_144),
    56: (853_018, 125_485_696),
    110: (1_727_962, 252_887_680),
    164: (1_704_154, 252_000_000),
    1202: (19_421_274, 2_829_238_912),
}


# A task of a single result, of which more is better, as one might add it.
QUALITY = Metric("quality", "quality", unit="", digits=3, better="higher", about="of the last model")
TOY = replace(CLASSIFICATION, name="toy", metrics=(LR, QUALITY), headline=QUALITY)

# Keys of a net's config, as a run's summary has it.
NET = {
    "family": "cifar",
    "depth": 20,
    "shortcut": "A",
    "stride_on": "1x1",
    "block": "paper",
    "gate": "none",
    "gate_value": None,
    "order": "paper",
    "num_classes": 10,
    "in_channels": 3,
}


def make_summary(**values: Any) -> Summary:
    """A summary of a run of classification: fields, keys of the net's config and metrics, each by its name."""
    given = {
        "net": "ResNet-20",
        "data": "cifar10",
        "params": 269_722,
        "macs": 40_551_040,
        "steps": 600,
        "batch_size": 128,
        "precision": "32-true",
        "wall_seconds": 187.4,
        "task": CLASSIFICATION.name,
        "train_error": 0.5,
        "test_error": 8.5,
    } | values
    net = {key: given.pop(key, default) for key, default in NET.items()}
    metrics = {metric.name: given.pop(metric.name, None) for metric in CLASSIFICATION.final}
    setting = " ".join(str(given[key]) for key in ("data", "steps", "batch_size", "precision"))
    given.setdefault("setting", f"{net['family']} {net['stride_on']} {setting}")
    return Summary(net_config=net, metrics=metrics, **given)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 black to 1 white (WCAG 2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """How well one colour stands out from the other, from 1 to 21 (WCAG 2); 3 is the least for lines and large text."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


class Lab:
    """A grid file and the run folders of its cells, under `tmp_path`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"

    def grid(self, cells: list[str] | dict[str, dict[str, Any]], name: str = "tiny", **content: Any) -> str:
        """Write a grid of those cells, by name alone or with what the grid says of them; its path."""
        (self.folder / "base.yaml").write_text("model: {}\n")
        path = self.folder / f"{name}.yaml"
        include = cells if isinstance(cells, dict) else dict.fromkeys(cells)
        path.write_text(yaml.safe_dump({"base": "base.yaml", "include": include, **content}, sort_keys=False))
        return str(path)

    def run(self, cell: str, seed: int = 0, grid: str = "tiny") -> RunFolder:
        """The run's folder, made if it is not there."""
        run = RunFolder(self.root / grid / f"{cell}-seed{seed}")
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    def finish(
        self,
        cell: str,
        seed: int = 0,
        *,
        depth: int = 20,
        shortcut: str = "A",
        test_error: float = 8.5,
        train_error: float = 0.5,
        start: float = 90.0,
        steps: int = 600,
        log_every: int = 25,
        responses: bool = True,
        signals: bool = False,
        grid: str = "tiny",
        rows: Sequence[dict[str, Any]] = (),
        **summary: Any,
    ) -> RunFolder:
        """A run that is done: its errors fall from `start` to those given, its test error measured every other time.

        With `rows` its metrics are these. As a run does, it says last that it is done: somebody may be following it.
        """
        run = self.run(cell, seed, grid)
        params, macs = NETS[depth]
        net = f"plain-{depth}" if shortcut == "none" else f"ResNet-{depth}"
        newest = {"train_error": train_error, "test_error": test_error}
        if rows:
            METRICS.replace(run.path, rows)
        else:
            self.curves(run, steps, log_every, start, train_error, test_error, seed)
        if responses:
            noise = random.Random(seed)
            size = (1.0 if shortcut == "none" else 0.6) * (20 / depth) ** 0.25
            names = [f"layer{i}" for i in range(1, depth)]
            self.responses(run, [(name, size * noise.uniform(0.4, 1.0)) for name in names])
        if signals:
            SIGNALS.replace(
                run.path,
                [
                    {"step": step, "layer": i, "name": f"layer{i}", "variance": 1 / i, "gradient": step / 1000 / i}
                    for step in (200, 400, 600)
                    for i in range(1, depth)
                ],
            )
        values = {
            "net": net,
            "depth": depth,
            "shortcut": shortcut,
            "seed": seed,
            "test_error": test_error,
            "train_error": train_error,
            "params": params,
            "macs": macs,
            "steps": steps,
            "images_per_second": 2345.6,
            "peak_memory_bytes": 1 << 30,
            "device": "cpu: AMD EPYC, 1 thread",
            "finished": "2026-11-03T10:20:30",
        }
        run.write_summary(make_summary(**{**values, **summary}))
        run.write_status(Status(state="done", step=steps, max_steps=steps, attempts=1, newest=newest))
        return run

    def toy_grid(self, cells: list[str], **content: Any) -> str:
        """Write a grid of the toy task; its path."""
        path = self.grid(cells, name="toys", **content)
        (self.folder / "base.yaml").write_text("task: toy\n")
        return path

    def finish_toy(self, cell: str, seed: int, curve: list[float]) -> RunFolder:
        """A run of the toy task that is done, with the quality at each tenth iteration."""
        run, steps = self.run(cell, seed, "toys"), 10 * len(curve)
        status = Status("done", steps, steps, attempts=1, started=1e9, task=TOY.name, newest={QUALITY.name: curve[-1]})
        rows = [{"step": 10 * i, "lr": 0.1, QUALITY.name: value} for i, value in enumerate(curve, start=1)]
        records.metrics(TOY).replace(run.path, rows)
        counted = {"params": 1000, "macs": 2000, "steps": steps, "batch_size": 4, "wall_seconds": 3.0}
        said = {"net": f"toy {cell}", "net_config": {"size": 3}, "data": "toys", "setting": "toys"} | counted
        run.write_summary(Summary(**said, metrics={QUALITY.name: curve[-1]}, task=TOY.name, seed=seed))
        run.write_status(status)
        return run

    def photographs(
        self,
        cell: str,
        seed: int = 0,
        *,
        ten_crop: tuple[float, float | None] | None = None,
        multi_scale: tuple[float, float | None] | None = None,
        **net: Any,
    ) -> RunFolder:
        """A run on ImageNet, or a folder like it, that is done; judged if its top-1 and top-5 errors are given."""
        depth, shortcut = net.setdefault("depth", 18), net.setdefault("shortcut", "A")
        plain = {"none": f"plain-{depth}"}
        net = {"net": plain.get(shortcut, f"ResNet-{depth}" + (f" {shortcut}" if depth < 50 else ""))} | net
        net = {"family": "imagenet", "data": "imagenet", "num_classes": 1000, "batch_size": 256} | net
        net = {"test_error": 30.0, "train_error": 34.0, "responses": False, "device": "NVIDIA H100 80GB HBM3"} | net
        run = self.finish(cell, seed, **net)
        errors = {"ten-crop": ten_crop, "multi-scale": multi_scale}
        self.judge(run, net["data"], **{protocol: found for protocol, found in errors.items() if found})
        return run

    def detector_grid(self, cells: list[str] | dict[str, dict[str, Any]], **content: Any) -> str:
        """Write a grid of detectors; its path."""
        path = self.grid(cells, **content)
        (self.folder / "base.yaml").write_text("task: detection\n")
        return path

    def detector(
        self,
        cell: str,
        seed: int = 0,
        *,
        family: str = "imagenet",
        depth: int = 18,
        shortcut: str = "A",
        data: str = "voc:bccd",
        final: tuple[float, float] | None = (60.0, 30.0),
        judged: dict[str, tuple[float, float | None]] | None = None,
        ap: dict[str, float | None] | None = None,
        start: str | None = "runs/pretrained/net-seed0",
        steps: int = 600,
        grid: str = "tiny",
        **summary: Any,
    ) -> RunFolder:
        """A detector that is done: its mAP rises to the final ones; judged if there are numbers by protocol.

        It has no final ones where the truth of its test images is not public.
        `ap` is the average precision of each class by all protocols; where there is none, no class is listed.
        """
        run, noise = self.run(cell, seed, grid), random.Random(seed)
        params, macs = NETS[depth]
        reached = dict(zip(("map50", "map"), final, strict=True)) if final else {}
        newest = {"region_error": 5.0, **reached}
        status = Status("done", steps, steps, attempts=1, started=1e9, task=DETECTION.name, newest=newest)
        run.write_status(status)
        rows = []
        for i, step in enumerate(range(steps // 10, steps + 1, steps // 10), start=1):
            left = math.exp(-0.5 * i) * noise.uniform(0.8, 1.2) if i < 10 else 0.0
            row = {"step": step, "lr": 0.001, "train_loss": 1 + left, "region_error": 5 + 40 * left}
            rows.append(row | ({name: last * (1 - left) for name, last in reached.items()} if i % 2 == 0 else {}))
        records.metrics(DETECTION).replace(run.path, rows)
        entries = {
            protocol: {"map50": map50, "map": map_, "images": 100, "views": [protocol], "data": data}
            | ({"ap": ap} if ap else {})
            for protocol, (map50, map_) in (judged or {}).items()
        }
        if entries:
            run.evaluation_file.write_text(json.dumps(entries))
        net = NET | {"family": family, "depth": depth, "shortcut": shortcut, "num_classes": 20}
        name = f"VGG-{depth}" if family == "vgg" else f"plain-{depth}" if shortcut == "none" else f"ResNet-{depth}"
        config = {
            "task": DETECTION.name,
            "model": {"net": net, "rate": {"lr": 0.001}},
            "data": {"source": data.partition(":")[0], "train": [data], "test": ["test"]},
            "trainer": {"max_steps": steps},
        }
        said = {
            "net": name,
            "net_config": net,
            "data": data,
            "metrics": {"map50": None, "map": None, **newest},
            "params": params,
            "macs": macs,
            "steps": steps,
            "batch_size": 2,
            "setting": setting(config),
            "wall_seconds": 300.0,
            "task": DETECTION.name,
            "seed": seed,
            "config": config | {"model": {**config["model"], "start": start, "bn": "fixed" if start else "taken"}},
            "start": Started("0" * 64, name, start) if start else None,
            "device": "cpu: AMD EPYC, 1 thread",
            "finished": "2026-11-28T10:20:30",
        }
        run.write_summary(Summary(**(said | summary)))
        return run

    def responses(self, run: RunFolder, responses: list[tuple[str, float]]) -> None:
        """Write responses.csv: (name, std) in the order of the layers."""
        rows = [{"layer": i, "name": name, "std": std} for i, (name, std) in enumerate(responses, start=1)]
        RESPONSES.replace(run.path, rows)

    def judge(self, run: RunFolder, data: str = "imagenet", **errors: tuple[float, float | None]) -> None:
        """Write evaluation.json: top-1 and top-5 error by each protocol."""
        entries = {
            protocol: {"top1_error": top1, "top5_error": top5, "images": 50_000, "views": [protocol], "data": data}
            for protocol, (top1, top5) in errors.items()
        }
        run.evaluation_file.write_text(json.dumps(entries))

    def ensemble(self, name: str, runs: list[str], *, grid: str = "tiny", **content: Any) -> Path:
        """The file that says what an ensemble of these run folders errs."""
        file = self.root / grid / "ensembles" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        errors = {"top1_error": 19.2, "top5_error": 4.31, "images": 50_000, "data": "imagenet"}
        summaries = [RunFolder(self.root / grid / run).summary() for run in runs]
        finished = [summary and summary.finished for summary in summaries]
        said = {"runs": runs, "finished": finished, "protocol": "multi-scale"}
        file.write_text(json.dumps({**errors, **said, **content}))
        return file

    def curves(
        self, run: RunFolder, steps: int, log_every: int, start: float, train: float, test: float, seed: int = 0
    ) -> None:
        """Write metrics.csv: errors that fall towards their last value and stay there."""
        noise = random.Random(seed)
        rows = []
        for i, step in enumerate(range(log_every, steps + 1, log_every), start=1):
            left = math.exp(-8 * step / steps) * noise.uniform(0.8, 1.2) if step < steps else 0.0
            row = {"step": step, "train_error": min(100.0, train + (start - train) * left), "lr": 0.1}
            if i % 2 == 0:
                row["test_error"] = min(100.0, test + (start - test) * left)
            rows.append(row)
        METRICS.replace(run.path, rows)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Task:
    """The toy task, known for the length of a test."""
    monkeypatch.setitem(TASKS, TOY.name, TOY)
    return TOY


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture(scope="module")
def new_lab(tmp_path_factory) -> Callable[[], Lab]:
    """Makes one that the tests of a file share."""
    return lambda: Lab(tmp_path_factory.mktemp("lab"))
