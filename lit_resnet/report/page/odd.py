"""Which finished runs are odd: those that a person should look at before believing a mean."""

from statistics import median

from lit_resnet.listing import numbered
from lit_resnet.metrics import Metric
from lit_resnet.report.runs import FinishedRun, GridRuns

SEEDS = 2  # so many other seeds, at least, show what is usual
TIMES = 5  # a value is far from theirs if it is so many times as far as usual
# In points of the metric that runs are compared by (`Metric.point`).
POINTS = 1.0  # nearer than this, seeds differ by chance
SETBACK = 5.0  # from the best value in the curve of a run to its last


def rule(metric: Metric) -> str:
    """What makes a run odd, in words."""
    near, lost = (_distance(f"{points * metric.point:g}", metric) for points in (POINTS, SETBACK))
    return (
        "A finished run is odd if it diverged (its loss is no number); if it was tested on other images than most runs "
        "on that data set; if its final "
        f"{metric.label} is further from the median of the other seeds of its cell than {near}, and than {TIMES} times "
        f"their median distance from it (with at least {SEEDS} other seeds); or if it ended more than {lost} "
        f"{'above the lowest' if metric.better == 'lower' else 'below the highest'} in its own curve."
    )


def odd(runs: GridRuns) -> list[str]:
    """What is odd about each run of the grid, in a few words; an empty text where nothing is."""
    cells = {cell.name: cell.runs for cell in runs.cells}
    elsewhere = {(run.cell, run.seed): "tested on other images than most" for run in runs.on_other_images}
    return [
        elsewhere.get((run.cell, run.seed)) or _word(run, cells[run.cell], runs.headline)
        if isinstance(run, FinishedRun)
        else ""
        for run in runs.runs
    ]


def far(value: float, others: list[float], least: float = POINTS) -> float | None:
    """How far a value is from the median of the others; None if that is usual among them, or no more than `least`."""
    if len(others) < SEEDS:
        return None
    middle = median(others)
    usual = median(abs(other - middle) for other in others)
    return value - middle if abs(value - middle) > max(least, TIMES * usual) else None


def _word(run: FinishedRun, cell: tuple[FinishedRun, ...], metric: Metric) -> str:
    if run.summary.diverged:
        return "diverged"
    value, best = run.value(metric), run.best(metric)
    if value is None:  # the metric is optional
        return ""
    values = (other.value(metric) for other in cell if other.seed != run.seed)
    others = [value for value in values if value is not None]
    if distance := far(value, others, POINTS * metric.point):
        side = "above" if distance > 0 else "below"
        return f"{_distance(metric.text(abs(distance)), metric)} {side} the median of the other seeds"
    if best is not None and abs(value - best) > SETBACK * metric.point and metric.best((value, best)) == best:
        worse = "above" if metric.better == "lower" else "below"
        return f"ended {_distance(metric.text(abs(value - best)), metric)} {worse} its best"
    return ""


def _distance(number: str, metric: Metric) -> str:
    """A distance between two values of a metric, with its unit; that of percentages is in points."""
    return numbered(number, "point") if metric.unit == "%" else f"{number} {metric.unit}".rstrip()
