"""What a number is: declared once here, and looped over by all that logs, lists, draws, compares or uploads it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number that is measured while a run trains.

    Args:
        name: Column of metrics.csv, key of summary.json, name in W&B.
        label: As people read it, without its unit: `test error`.
        unit: `%`, or the empty string where it has none.
        digits: Digits after the decimal point, for people.
        better: Which of two values is better; None where neither is, as of a learning rate.
        final: Whether the last value of a run is one of its results: in summary.json, `status`, tables and pages.
    """

    name: str
    label: str
    unit: str = "%"
    digits: int = 2
    better: Literal["lower", "higher"] | None = "lower"
    final: bool = True

    @property
    def head(self) -> str:
        """Its label and unit, for the head of a column or an axis: `test error %`."""
        return f"{self.label} {self.unit}".rstrip()

    def text(self, value: float | None) -> str:
        """The value for people: `7.93`, or a dash where there is none."""
        return "–" if value is None else f"{value:.{self.digits}f}"

    def best(self, values: Iterable[float | None]) -> float | None:
        """The best of the finite values; None where there is none.

        Raises:
            ValueError: Neither of two values of this metric is better.
        """
        if self.better is None:
            raise ValueError(f"{self.name}: of two values neither is better")
        known = [value for value in values if value is not None and math.isfinite(value)]
        return (min if self.better == "lower" else max)(known, default=None)


TRAIN_LOSS = Metric("train_loss", "train loss", unit="", digits=4, final=False)
TRAIN_ERROR = Metric("train_error", "train error")
LR = Metric("lr", "learning rate", unit="", digits=4, better=None, final=False)
IMAGES_PER_SECOND = Metric("images_per_second", "images/s", unit="", digits=0, better="higher", final=False)
TEST_LOSS = Metric("test_loss", "test loss", unit="", digits=4, final=False)
TEST_ERROR = Metric("test_error", "test error")
VAL_ERROR = Metric("val_error", "held-out error")
