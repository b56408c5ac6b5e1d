"""What the paper printed, as data: `printed.yaml`, and the questions that the tables and `lit-resnet nets` ask of it.

Every answer is None where the paper has no number for exactly that net. Needs nothing but YAML.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lit_resnet.files import read_yaml


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
    """`table1` to `table8` and `claims`, as in printed.yaml. Shared by all callers: read it, never write to it."""
    return read_yaml(Path(__file__).with_name("printed.yaml"))


def gflops(family: str, depth: int, shortcut: str, *, stride_on: str = "1x1", block: str = "paper") -> float | None:
    """1e9 multiply-adds of one 224x224 image (Table 1); option B is the table's from 50 layers on."""
    row = _row("table1", family, depth, shortcut, block)
    # Only bottleneck nets have a 1x1 layer to move the stride from, and the paper's keep it there.
    return None if row is None or (depth >= 50 and stride_on != "1x1") else row["gflops"]


def params(family: str, depth: int, shortcut: str, *, block: str = "paper") -> float | None:
    """Parameters in millions (Table 6)."""
    row = _row("table6", family, depth, shortcut, block)
    return None if row is None else row["params"]


def test_error(
    data: str,
    family: str,
    depth: int,
    shortcut: str,
    *,
    block: str = "paper",  # noqa: PT028 - a question about the test set, not a test
) -> PrintedError | None:
    """Test error in percent, by a single view of each image; only Table 6 has such errors.

    Its errors on ImageNet are of ten crops or more (Tables 2 to 5) and must not be compared with those of one crop.
    """
    row = _row("table6", family, depth, shortcut, block)
    if row is None or data != load()["table6"]["data"]:
        return None
    return PrintedError(row["error"], row.get("mean"), row.get("std"))


def _row(table: str, family: str, depth: int, shortcut: str, block: str) -> dict[str, Any] | None:
    """The table's row for that net. Single-layer residual functions have a sentence in the paper, and no row."""
    if family != load()[table]["family"] or block != "paper":
        return None
    nets = (row for row in load()[table]["rows"] if "depth" in row)
    return next((row for row in nets if (row["depth"], row["shortcut"]) == (depth, shortcut)), None)
