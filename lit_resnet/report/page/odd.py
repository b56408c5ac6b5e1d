"""Which finished runs are odd: those that a person should look at before believing a mean.

Seeds of a cell differ by chance, and of two or three seeds alone nobody can tell by how much. What is usual is
therefore taken from all cells of the grid, too: from the upper quartile of their standard deviations, since some nets
scatter more than others (a plain net that degrades, most of all).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median, stdev

from lit_resnet.listing import numbered
from lit_resnet.metrics import Metric
from lit_resnet.report.runs import FinishedRun, GridRuns

SEEDS = 2  # so many other seeds, at least, have a middle
MORE = 5  # so many runs more than cells, at least, show what is usual
TIMES = 5  # so many times as far as usual is far
# In points of the metric that runs are compared by (`Metric.point`).
POINTS = 1.0  # nearer than this, seeds differ by chance
SETBACK = 5.0  # from the best value in the curve of a run to its last


def rule(metric: Metric) -> str:
    """What makes a run odd, in words."""
    near, lost = (_distance(f"{points * metric.point:g}", metric) for points in (POINTS, SETBACK))
    return (
        "A finished run is odd if it diverged (its loss is no number); if its final "
        f"{metric.label} is further from the median of the other seeds of its cell than {near}, and than {TIMES} times "
        "the usual spread; or if it ended more than "
        f"{lost} {'above the lowest' if metric.better == 'lower' else 'below the highest'} in its own curve, and more "
        f"than {TIMES} times as far as three quarters of the other runs. The usual spread is the standard deviation of "
        "the other seeds or, if that is larger, the one that three quarters of the other cells do not exceed (it takes "
        f"{SEEDS} other seeds at least, and {MORE} runs more than cells in the grid)."
    )


def odd(runs: GridRuns) -> list[str]:
    """What is odd about each run of the grid, in a few words; an empty text where nothing is."""
    metric = runs.headline
    values = {cell.name: {run.seed: run.value(metric) for run in cell.runs} for cell in runs.cells}
    apart = far([[_finite(value) for value in seeds.values()] for seeds in values.values()], POINTS * metric.point)
    distances = {
        (cell, seed): distance
        for (cell, seeds), found in zip(values.items(), apart, strict=True)
        for seed, distance in zip(seeds, found, strict=True)
    }
    lost = {(run.cell, run.seed): _setback(run, metric) for run in runs.finished}
    usual = sorted(lost.values())
    words = []
    for run in runs.runs:
        key = run.cell, run.seed
        if not isinstance(run, FinishedRun):
            words.append("")
        elif run.summary.diverged:
            words.append("diverged")
        elif distance := distances[key]:
            side = "above" if distance > 0 else "below"
            words.append(f"{_distance(metric.text(abs(distance)), metric)} {side} the median of the other seeds")
        elif lost[key] > max(SETBACK * metric.point, TIMES * _quartile_without(usual, lost[key])):
            worse = "above" if metric.better == "lower" else "below"
            words.append(f"ended {_distance(metric.text(lost[key]), metric)} {worse} its best")
        else:
            words.append("")
    return words


def far(cells: Sequence[Sequence[float | None]], least: float = POINTS) -> list[list[float | None]]:
    """How far each value is from the median of the others of its cell; None where that is usual, or not known.

    Args:
        cells: For each cell the values of its seeds; None where there is none.
        least: A distance that is never far.
    """
    known = [[value for value in seeds if value is not None] for seeds in cells]
    enough = sum(map(len, known)) - len(list(filter(None, known))) >= MORE
    spreads = sorted(stdev(seeds) for seeds in known if len(seeds) > 1)
    found: list[list[float | None]] = []
    for seeds, values in zip(cells, known, strict=True):
        grid = _quartile_without(spreads, stdev(values)) if enough and len(values) > SEEDS else 0.0
        found.append([])
        for value in seeds:
            distance = None
            if enough and value is not None and len(values) > SEEDS:
                others = list(values)
                others.remove(value)
                distance = value - median(others)
                if abs(distance) <= max(least, TIMES * stdev(others), TIMES * grid):
                    distance = None
            found[-1].append(distance)
    return found


def _quartile_without(ordered: Sequence[float], one: float) -> float:
    """What three quarters of the values do not exceed, without one of them; 0 where there are no others."""
    place = bisect_left(ordered, one)
    last = math.ceil(0.75 * (len(ordered) - 1)) - 1
    return ordered[last + (last >= place)] if last >= 0 else 0.0


def _setback(run: FinishedRun, metric: Metric) -> float:
    """How much worse than the best in its curve a run ended; 0 where it ended best, or the metric is optional."""
    value, best = _finite(run.value(metric)), run.best(metric)
    if value is None or best is None:
        return 0.0
    return max(0.0, value - best if metric.better == "lower" else best - value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _distance(number: str, metric: Metric) -> str:
    """A distance between two values of a metric, with its unit; that of percentages is in points."""
    return numbered(number, "point") if metric.unit == "%" else f"{number} {metric.unit}".rstrip()
