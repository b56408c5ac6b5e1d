"""Which finished runs are odd: those that a person should look at before believing a mean."""

from statistics import median

from lit_resnet.metrics import Metric
from lit_resnet.report.runs import GridRuns, Run

SEEDS = 2  # other seeds, at least, that say what is usual
TIMES = 5  # the usual distance
# In points of the metric that runs are compared by (`Metric.point`).
POINTS = 1.0  # nearer than this, seeds differ by chance
SETBACK = 5.0  # between the best model of a run and its last


def rule(metric: Metric) -> str:
    """What makes a run odd, in words."""
    near, lost = (f"{points * metric.point:g}{_unit(metric)}" for points in (POINTS, SETBACK))
    return (
        f"Odd is a finished run that diverged (its loss is no number); or whose final {metric.label} is further from "
        f"the median of the other seeds of its cell than {near} and than {TIMES} times their median "
        f"distance from it (if there are at least {SEEDS} others); or ended more than {lost} "
        f"{'above the lowest' if metric.better == 'lower' else 'below the highest'} in its own curve."
    )


def odd(runs: GridRuns) -> list[str]:
    """What is odd about each run of the grid, in a few words; an empty text where nothing is."""
    cells = {cell.name: cell.runs for cell in runs.cells}
    return [_word(run, cells[run.cell], runs.headline) if run.summary else "" for run in runs.runs]


def far(value: float, others: list[float], least: float = POINTS) -> float | None:
    """How far a value is from the median of the others; None if that is usual among them, or no more than `least`."""
    if len(others) < SEEDS:
        return None
    middle = median(others)
    usual = median(abs(other - middle) for other in others)
    return value - middle if abs(value - middle) > max(least, TIMES * usual) else None


def _word(run: Run, cell: tuple[Run, ...], metric: Metric) -> str:
    if run.summary.diverged:
        return "diverged"
    value, best = run.value(metric), run.best(metric)
    others = [other.value(metric) for other in cell if other.seed != run.seed]
    if distance := far(value, others, POINTS * metric.point):
        side = "above" if distance > 0 else "below"
        return f"{metric.text(abs(distance))}{_unit(metric)} {side} the median of the other seeds"
    if best is not None and abs(value - best) > SETBACK * metric.point and metric.best((value, best)) == best:
        worse = "above" if metric.better == "lower" else "below"
        return f"ended {metric.text(abs(value - best))}{_unit(metric)} {worse} its best"
    return ""


def _unit(metric: Metric) -> str:
    """What a distance between two values is counted in: of percentages, points."""
    return " points" if metric.unit == "%" else f" {metric.unit}".rstrip()
