"""The numbers that the paper's sentences compare, each read from one finished run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from lit_resnet.metrics import TEST_ERROR, TOP1_ERROR, TRAIN_ERROR, Metric
from lit_resnet.report.claims.alike import Net
from lit_resnet.report.claims.compare import Sample
from lit_resnet.report.runs import FinishedRun

FLOAT_ORDERS = 83.0  # from the smallest to the largest 32-bit float


@dataclass(frozen=True)
class Measure:
    """A number of a finished run: what it is called, its digits after the point, and how it is read (None: not there).

    Raises:
        InputError: `of` finds a file of the run damaged.
    """

    label: str
    digits: int
    read: Callable[[FinishedRun], float | None]

    def known(self, net: Net) -> bool:
        """Whether all finished runs of a net have measured it."""
        return all(self.read(run) is not None for run in net.runs)

    def of(self, net: Net) -> Sample:
        """The number over the runs of a net, without those that have not measured it."""
        values = map(self.read, net.runs)
        return Sample(net.name, tuple(value for value in values if value is not None))


def _final(metric: Metric, label: str = "") -> Measure:
    """The last value of an error, in percent."""

    def read(run: FinishedRun) -> float | None:
        error = run.value(metric)
        return None if error is None else _number(error, run)

    return Measure(label or metric.head, metric.digits, read)


def _number(error: float, run: FinishedRun) -> float:
    """The error in percent; that of guessing where it is no number, as in a run that diverged."""
    return error if math.isfinite(error) else 100 * (1 - 1 / run.summary.net_config.get("num_classes", 10))


def _ten_crop(run: FinishedRun) -> float | None:
    return run.evaluations.get("ten-crop", {}).get(TOP1_ERROR.name)


def _train_error_of_quarter(quarter: int, run: FinishedRun) -> float | None:
    """Mean over the logged windows of that quarter of the training, from 1 to 4."""
    end = quarter * run.summary.steps / 4
    start = end - run.summary.steps / 4
    logged = [_number(error, run) for step, error in run.logged(TRAIN_ERROR) if start < step <= end]
    return fmean(logged) if logged else None


def _response(run: FinishedRun) -> float | None:
    return fmean(run.responses) if run.responses and all(map(math.isfinite, run.responses)) else None


def _iterations(column: str, run: FinishedRun) -> list[list[float]]:
    """A signal of all layers, for each sampled iteration."""
    return [[row[column] for row in layers] for layers in run.signals.values()]


def _least_variance(run: FinishedRun) -> float | None:
    variances = [variance for layers in _iterations("variance", run) for variance in layers]
    return min((variance if math.isfinite(variance) else 0.0 for variance in variances), default=None)


def _gradients_apart(run: FinishedRun) -> float | None:
    """Orders of magnitude between the layers, at the sampled iteration where they are farthest apart."""
    return max(map(_orders, _iterations("gradient", run)), default=None)


def _orders(layers: list[float]) -> float:
    """Orders of magnitude from the smallest to the largest; the whole range of a float if one is zero or not finite."""
    sound = all(0 < signal < math.inf for signal in layers)
    return math.log10(max(layers) / min(layers)) if sound else FLOAT_ORDERS


TRAIN, TEST = _final(TRAIN_ERROR), _final(TEST_ERROR)
CENTER = _final(TEST_ERROR, "validation error % (centre crop)")
TEN_CROP = Measure("validation error % (ten crops)", TOP1_ERROR.digits, _ten_crop)
QUARTERS = tuple(
    Measure(f"{TRAIN_ERROR.head}, {name} quarter", TRAIN_ERROR.digits, partial(_train_error_of_quarter, i))
    for i, name in enumerate(("first", "second", "third", "last"), start=1)
)
RESPONSE = Measure("mean std of the layers' responses", 3, _response)
VARIANCE = Measure("smallest variance of a layer at any sampled iteration", 3, _least_variance)
GRADIENT = Measure("orders of magnitude from the smallest to the largest gradient of the layers", 1, _gradients_apart)
