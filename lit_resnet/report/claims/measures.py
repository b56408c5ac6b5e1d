"""The numbers that the paper's sentences compare, each read from one finished run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import fmean
from typing import Literal

import numpy as np

from lit_resnet.evaluation import Testing
from lit_resnet.metrics import MAP, MAP50, TEST_ERROR, TOP1_ERROR, TOP5_ERROR, TRAIN_ERROR, Metric
from lit_resnet.nested import value_at
from lit_resnet.report.claims.alike import Net
from lit_resnet.report.claims.contrast import Sample
from lit_resnet.report.runs import FinishedRun

FLOAT_ORDERS = 83.0  # from the smallest to the largest 32-bit float


@dataclass(frozen=True)
class Measure:
    """A number of a finished run.

    Args:
        label: What it is called.
        digits: Digits after the point.
        read: The number; None where the run has not measured it.
        better: Which of two numbers is better; None where neither is.
        images: Of how many test images it is an error rate in percent, as far as a run says that.
        grain: The least difference between two runs.
        wrong: Which of the test images were wrong, where a run has kept that.

    Raises:
        InputError: `read` or `wrong` finds a file of the run damaged.
    """

    label: str
    digits: int
    read: Callable[[FinishedRun], float | None]
    better: Literal["lower", "higher"] | None = None
    images: Callable[[FinishedRun], int | None] = lambda run: None
    grain: Callable[[FinishedRun], float] = lambda run: 0.0
    wrong: Callable[[FinishedRun], np.ndarray | None] = lambda run: None

    def above(self, better: Sample, worse: Sample) -> tuple[Sample, Sample]:
        """Two samples in the order of their numbers, the higher one first, if the one is better than the other."""
        assert self.better is not None, f"{self.label}: of two numbers neither is better"
        return (better, worse) if self.better == "higher" else (worse, better)

    def known(self, net: Net) -> bool:
        """Whether all finished runs of a net have measured it."""
        return all(self.read(run) is not None for run in net.runs)

    def of(self, net: Net) -> Sample:
        """The number over the runs of a net, without those that have not measured it."""
        runs = [(run, value) for run in net.runs if (value := self.read(run)) is not None]
        counts = [count for run, _ in runs if (count := self.images(run))]
        wrong = [found for run, _ in runs if (found := self.wrong(run)) is not None]
        grain = max((self.grain(run) for run, _ in runs), default=0.0)
        kept = tuple(wrong) if len(wrong) == len(runs) and len({len(one) for one in wrong}) == 1 else ()
        lacking = "not measured" if net.runs else "missing"
        return Sample(net.name, tuple(value for _, value in runs), grain, min(counts, default=None), kept, lacking)


def _final(metric: Metric, run: FinishedRun) -> float | None:
    """The last value of an error, in percent."""
    error = run.value(metric)
    return None if error is None else _number(error, run)


def _number(error: float, run: FinishedRun) -> float:
    """The error in percent; that of guessing where it is no number, as in a run that diverged."""
    return error if math.isfinite(error) else 100 * (1 - 1 / run.summary.net_config.get("num_classes", 10))


def _image(run: FinishedRun) -> float:
    """What an image of the test is worth, in percent."""
    return 100 / run.test_count if run.test_count else 0.0


def _trained(run: FinishedRun) -> float:
    """What an image of a logged window is worth, in percent; the last one may be shorter."""
    steps = [0, *(step for step, _ in run.logged(TRAIN_ERROR))]
    last = max((after - before for before, after in pairwise(steps)), default=0)
    return 100 / (last * run.summary.batch_size) if last else 0.0


def _judged(protocol: str, metric: Metric, run: FinishedRun) -> float | None:
    return run.evaluations.get(protocol, {}).get(metric.name)


def _by(protocol: Testing, metric: Metric, words: str) -> Measure:
    def images(run: FinishedRun) -> int | None:
        return run.evaluations.get(protocol, {}).get("images")

    def grain(run: FinishedRun) -> float:
        count = images(run)
        return 100 / count if count else 0.0

    return Measure(words, metric.digits, partial(_judged, protocol, metric), metric.better, images, grain)


def _detected(protocol: str, metric: Metric, words: str) -> Measure:
    """A mean average precision: no rate of test images that are wrong."""
    return Measure(words, metric.digits, partial(_judged, protocol, metric), metric.better)


def _localized(run: FinishedRun) -> float | None:
    """By how many points a stricter IoU lowers the mAP."""
    loose, all_ious = (_judged("coco", metric, run) for metric in (MAP50, MAP))
    return None if loose is None or all_ious is None else loose - all_ious


def _train_error_of_quarter(quarter: int, run: FinishedRun) -> float | None:
    """Mean over the logged windows of that quarter of the training, from 1 to 4."""
    end = quarter * run.summary.steps / 4
    start = end - run.summary.steps / 4
    logged = [_number(error, run) for step, error in run.logged(TRAIN_ERROR) if start < step <= end]
    return fmean(logged) if logged else None


def _converging(run: FinishedRun) -> float | None:
    """Iterations before the first logged window whose training error is below 90 %; None if there is no such window."""
    start = 0
    for step, error in run.logged(TRAIN_ERROR):
        if _number(error, run) < 90:
            return float(start)
        start = step
    return None


def _window(run: FinishedRun) -> float:
    """Iterations of a logged window."""
    steps = [step for step, _ in run.logged(TRAIN_ERROR)]
    return float(steps[0]) if steps else 0.0


def _warmup(run: FinishedRun) -> float | None:
    """Iterations of the warm-up to a training error below 80 %; all of the run if it never ended.

    None for one to another error: that of the paper's sequel ends after 400 iterations, whatever the error is.
    """
    if run.summary.warmup_lr is None or value_at(run.summary.config, "model.rate.warmup_error") not in (None, 80):
        return None
    return float(run.summary.warmup_steps or run.summary.steps)


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


def _one_view(metric: Metric, label: str) -> Measure:
    return Measure(
        label,
        metric.digits,
        partial(_final, metric),
        metric.better,
        lambda run: run.test_count,
        _image,
        lambda run: None if run.predictions is None else run.predictions[:, 0] != run.predictions[:, 1],
    )


TRAIN = Measure(TRAIN_ERROR.head, TRAIN_ERROR.digits, partial(_final, TRAIN_ERROR), TRAIN_ERROR.better, grain=_trained)
TEST = _one_view(TEST_ERROR, TEST_ERROR.head)
CENTER = _one_view(TEST_ERROR, "validation error % (centre crop)")
TEN_CROP = _by("ten-crop", TOP1_ERROR, "validation error % (ten crops)")
TEN_CROP_TOP5 = _by("ten-crop", TOP5_ERROR, "top-5 validation error % (ten crops)")
SCALES = _by("multi-scale", TOP1_ERROR, "validation error % (many scales)")
SCALES_TOP5 = _by("multi-scale", TOP5_ERROR, "top-5 validation error % (many scales)")
QUARTERS = tuple(
    Measure(
        f"{TRAIN_ERROR.head}, {name} quarter",
        TRAIN_ERROR.digits,
        partial(_train_error_of_quarter, i),
        TRAIN_ERROR.better,
    )
    for i, name in enumerate(("first", "second", "third", "last"), start=1)
)
VOC = {
    "voc07": _detected("voc07", MAP50, "mAP % (11 points)"),
    "voc10": _detected("voc10", MAP50, "mAP % (area)"),
}
COCO_50 = _detected("coco", MAP50, MAP50.head)
COCO = _detected("coco", MAP, MAP.head)
COCO_APART = Measure(f"{MAP50.label} less {MAP.label}, points", MAP.digits, _localized, better="lower")
CONVERGING = Measure("iterations until the training error is below 90 %", 0, _converging, grain=_window)
WARMUP = Measure("iterations of the warm-up", 0, _warmup, grain=lambda run: 1.0)
VARIANCE = Measure("smallest variance of a layer at any sampled iteration", 3, _least_variance)
GRADIENT = Measure("orders of magnitude from the smallest to the largest gradient of the layers", 1, _gradients_apart)
