"""Metrics: each is declared once, here; logging, lists, figures, claims and uploads loop over the declarations."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

FLOAT32 = 3.5e38  # more than any 32-bit float


@dataclass(frozen=True)
class Metric:
    """A number that is measured while a run trains.

    Args:
        name: Column of metrics.csv, key of summary.json, name in W&B.
        label: As people read it, without its unit: `test error`.
        unit: `%`, or the empty string where it has none.
        digits: Digits after the decimal point, for people.
        better: Which of two values is better; None where neither is, as for the learning rate.
        final: Whether the last value of a run is one of its results: in summary.json, `status`, tables and pages.
        optional: Whether some runs have no value of it: it is left out where none of the listed runs has one.
        low: The least value that it can have.
        high: The greatest one. A run that diverged may also have none: a value that is no number, or infinite.
        about: How it is measured, for the note under a table; empty where its label says all.
    """

    name: str
    label: str
    unit: str = "%"
    digits: int = 2
    better: Literal["lower", "higher"] | None = "lower"
    final: bool = True
    optional: bool = False
    low: float = -FLOAT32
    high: float = FLOAT32
    about: str = ""

    @property
    def head(self) -> str:
        """Its label and unit, for the head of a column or an axis: `test error %`."""
        return f"{self.label} {self.unit}".rstrip()

    @property
    def first(self) -> str:
        """Its label as the first words of a sentence: `Test error`, and `mAP@.5` as it is."""
        return self.label.capitalize() if self.label.islower() else self.label

    def possible(self, value: float | None) -> bool:
        """Whether a file may hold this value, or none; a folder may come from strangers."""
        unbounded = isinstance(value, float) and not math.isfinite(value)
        return value is None or unbounded or self.low <= value <= self.high

    def text(self, value: float | None) -> str:
        """The value for people: `7.93`, or a dash where there is none."""
        return "–" if value is None else f"{value:.{self.digits}f}"

    def words(self, value: float | None) -> str:
        """The value in a sentence: `test error 7.93 %`."""
        return f"{self.label} {self.text(value)} {self.unit}".rstrip()

    @property
    def point(self) -> float:
        """A difference worth speaking of: 100 units of the last digit shown. For an error in percent: one percent."""
        return 100 / 10**self.digits

    def best(self, values: Iterable[float | None]) -> float | None:
        """The best of the finite values; None where there is none.

        Raises:
            ValueError: Neither of two values of this metric is better.
        """
        if self.better is None:
            raise ValueError(f"{self.name}: of two values neither is better")
        known = [value for value in values if value is not None and math.isfinite(value)]
        return (min if self.better == "lower" else max)(known, default=None)


def listed(metrics: Iterable[Metric], rows: Sequence[Mapping[str, float | None]]) -> tuple[Metric, ...]:
    """The metrics to list: all but the optional ones without a value in any row. `rows` hold values by name."""
    return tuple(m for m in metrics if not m.optional or any(row.get(m.name) is not None for row in rows))


PERCENT: dict[str, Any] = {"unit": "%", "low": 0, "high": 100}
TRAIN_LOSS = Metric("train_loss", "train loss", unit="", digits=4, final=False)
TRAIN_ERROR = Metric(
    "train_error",
    "train error",
    **PERCENT,
    about="over the last logging window, of the batches as they were trained, with augmentation",
)
LR = Metric("lr", "learning rate", unit="", digits=4, better=None, final=False, low=0)
IMAGES_PER_SECOND = Metric("images_per_second", "images/s", unit="", digits=0, better="higher", final=False, low=0)
TEST_LOSS = Metric("test_loss", "test loss", unit="", digits=4, final=False)
TEST_ERROR = Metric("test_error", "test error", **PERCENT, about="of the last model")
VAL_ERROR = Metric("val_error", "held-out error", **PERCENT, optional=True)
# Of detectors (Appendix A). The four losses add up to the training loss.
RPN_CLASS_LOSS = Metric("rpn_class_loss", "RPN class loss", unit="", digits=4, final=False)
RPN_BOX_LOSS = Metric("rpn_box_loss", "RPN box loss", unit="", digits=4, final=False)
CLASS_LOSS = Metric("class_loss", "class loss", unit="", digits=4, final=False)
BOX_LOSS = Metric("box_loss", "box loss", unit="", digits=4, final=False)
REGION_ERROR = Metric(
    "region_error",
    "region error",
    **PERCENT,
    about="sampled regions whose class is wrong, over the last logging window",
)
MAP50 = Metric(
    "map50",
    "mAP@.5",
    **PERCENT,
    better="higher",
    optional=True,  # of test images whose boxes are not public
    about="of the last model on the test images: mean over the classes of the area under precision over recall, with "
    "boxes that overlap by an IoU of 0.5",
)
MAP = Metric(
    "map", "mAP@[.5, .95]", **PERCENT, better="higher", optional=True, about="its mean over IoUs from 0.5 to 0.95"
)
# By the paper's ways of testing (`evaluation/`), in evaluation.json: not measured while a run trains.
TOP1_ERROR = Metric("top1_error", "top-1 error", **PERCENT)
TOP5_ERROR = Metric("top5_error", "top-5 error", **PERCENT, optional=True)
