"""What the paper printed, as data: `printed.yaml`, and the questions that the tables and `lit-resnet nets` ask of it.

Two more papers have a file each in the same form: the authors' next one, and that on highway nets. Needs nothing but
YAML.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lit_resnet.files import read_yaml

FILES = ("printed.yaml", "identity_mappings.yaml", "highway.yaml")
SENTENCES = ("claims", "net_claims")  # which a file adds to those of the files before it
FAIL = "fail"  # in place of an error that a table does not give, as it is above `fails_above`
# Of a net's config, where a row of a table does not say it, nor a run that is older than the key.
USUAL = {"block": "paper", "gate": "none", "order": "paper"}


@dataclass(frozen=True)
class PrintedError:
    """A test error as Table 6 prints it, in percent: the best run, and mean and std where it ran several."""

    best: float
    mean: float | None = None
    std: float | None = None

    @property
    def spread(self) -> str | None:
        """`6.61±0.16`, or None where the paper gives one run."""
        return None if self.mean is None else f"{self.mean:.2f}±{self.std:.2f}"

    def __str__(self) -> str:
        """`6.97`, or `6.43 (6.61±0.16)`."""
        return f"{self.best:.2f}" + (f" ({self.spread})" if self.spread else "")


@cache
def load() -> dict[str, Any]:
    """The tables of all files by their names, and all `claims` and `net_claims`, in the order of the files.

    All callers share it: do not change it.
    """
    found: dict[str, Any] = {}
    for name in FILES:
        content = read_yaml(Path(__file__).with_name(name))
        found |= content | {key: found.get(key, {}) | content.get(key, {}) for key in SENTENCES}
    return found


@dataclass(frozen=True)
class Spread:
    """A published std of a metric over runs, in points, and what was trained, on what, for how long.

    Test errors are of one view of each image. Where the length is None, it was not said.
    """

    of: str
    data: str
    std: float
    metric: str = "test_error"
    steps: int | None = None
    batch_size: int | None = None
    mean: float | None = None


@cache
def spreads() -> tuple[Spread, ...]:
    """The paper's own (Table 6), and that of others for data of which the paper has none."""
    table = load()["table6"]
    trained = {"data": table["data"], **table["training"]}
    own = [Spread(f"the paper's {row['net']}", std=row["std"], **trained) for row in table["rows"] if "runs" in row]
    return (*own, *(Spread(**spread) for spread in load()["spreads"]))


@dataclass(frozen=True)
class Printed:
    """What the paper printed of one net; each is None where it printed none.

    Args:
        error: Test error of a single view of each image, which Table 6 alone gives. The ImageNet errors are of ten
            crops or more (Tables 2 to 5) and cannot be compared with those of one crop.
        params: Parameters in millions (Table 6).
        gflops: 1e9 multiply-adds of one 224x224 image (Table 1); from 50 layers on those of option B.
    """

    error: PrintedError | None = None
    params: float | None = None
    gflops: float | None = None


def of(net: Mapping[str, Any], data: str | None = None) -> Printed:
    """What the paper printed of exactly this net.

    Args:
        net: Its config: family, depth, shortcut, and the keys of `USUAL` and stride_on where they are not the paper's.
        data: The data set that it was trained on, for its error.
    """
    sized, tested = (
        next((row for row in load()[table]["rows"] if is_row(net, table, row)), {}) for table in ("table1", "table6")
    )
    error = None
    if tested and data == load()["table6"]["data"]:
        error = PrintedError(tested["error"], tested.get("mean"), tested.get("std"))
    return Printed(error, tested.get("params"), sized.get("gflops"))


def detected(net: Mapping[str, Any], data: str) -> dict[str, dict[str, float]]:
    """What the paper printed of a detector on exactly this net: by protocol `map50`, and `map` where it has one.

    Args:
        net: The config of the net under the detector, as in `of`.
        data: The data set that the detector was trained and tested on.
    """
    found = {}
    for key, column in load()["table7"]["columns"].items():
        for row in load()["table7"]["rows"] if column["data"] == data else ():
            if is_row(net, "table7", row):
                found[column["protocol"]] = {"map50": row[key]}
    coco = load()["table8"]
    for row in coco["rows"] if coco["data"] == data else ():
        if is_row(net, "table8", row):
            found[coco["protocol"]] = {key: row[key] for key in ("map50", "map")}
    return found


def gate_value(net: Mapping[str, Any]) -> float | None:
    """The number of a net's gate, the usual one where its config leaves that to the gate; None without a gate."""
    said = net.get("gate_value")
    return load()["gate_values"].get(net.get("gate")) if said is None else said


def is_kind(net: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a net has the shortcuts and blocks of a row's net, whatever its family and depth; `net` as in `of`."""
    ours, printed = {**USUAL, **net}, {**USUAL, **row}
    if any(ours.get(key) != printed.get(key) for key in ("shortcut", *USUAL)):
        return False
    value, of_row = gate_value(ours), printed.get("gate_value")
    if isinstance(of_row, list):
        return value is not None and of_row[0] <= value <= of_row[1]
    return value == of_row


def is_row(net: Mapping[str, Any], table: str, row: Mapping[str, Any]) -> bool:
    """Whether a row of a table is of exactly this net; `net` as in `of`.

    The first paper has no row for single-layer residual functions, only a sentence. Its bottleneck nets have the stride
    in their 1x1 layer; other nets have no such layer.
    """
    printed = {"family": load()[table].get("family"), **row}
    if "depth" not in row or any(net.get(key) != printed[key] for key in ("family", "depth")) or not is_kind(net, row):
        return False
    bottlenecks = (net["family"] == "imagenet" and net["depth"] >= 50) or net.get("block") == "bottleneck"
    return not (bottlenecks and net.get("stride_on", "1x1") != "1x1")


def agreement(ours: float, printed: float) -> Literal["rounded", "cut off"] | None:
    """How our number is the printed one, at its digits: rounded (7.570 is 7.6), or cut off (3.858 is 3.8).

    Some of the paper's numbers are cut off. None if ours is neither.
    """
    digits = len(str(printed).partition(".")[2])
    if printed == round(ours, digits):
        return "rounded"
    return "cut off" if printed == math.floor(ours * 10**digits) / 10**digits else None
