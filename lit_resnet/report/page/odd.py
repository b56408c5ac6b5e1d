"""Which finished runs are odd: those that a person should look at before believing a mean."""

from statistics import median

from lit_resnet.report.runs import GridRuns, Run

SEEDS = 2  # other seeds, at least, that say what is usual
TIMES = 5  # the usual distance
POINTS = 1.0  # of error: nearer than this, seeds differ by chance
SETBACK = 5.0  # points of error from the best model of a run to its last

RULE = (
    "Odd is a finished run that diverged (its loss is no number); or whose final {error} is further from the median of "
    f"the other seeds of its cell than {POINTS:g} point and than {TIMES} times their median distance from it (if there "
    f"are at least {SEEDS} others); or ended more than {SETBACK:g} points above the lowest in its own curve."
)


def odd(runs: GridRuns) -> list[str]:
    """What is odd about each run of the grid, in a few words; an empty text where nothing is."""
    cells = {cell.name: cell.runs for cell in runs.cells}
    return [_word(run, cells[run.cell]) if run.summary else "" for run in runs.runs]


def far(value: float, others: list[float]) -> float | None:
    """How far a value is from the median of the others, or None if no further than is usual among them."""
    if len(others) < SEEDS:
        return None
    middle = median(others)
    usual = median(abs(other - middle) for other in others)
    return value - middle if abs(value - middle) > max(POINTS, TIMES * usual) else None


def _word(run: Run, cell: tuple[Run, ...]) -> str:
    if run.summary.get("diverged"):
        return "diverged"
    error, lowest = run.summary["test_error"], run.best_test_error
    if distance := far(error, [other.summary["test_error"] for other in cell if other.seed != run.seed]):
        return f"{abs(distance):.2f} points {'above' if distance > 0 else 'below'} the median of the other seeds"
    if lowest is not None and error - lowest > SETBACK:
        return f"ended {error - lowest:.2f} points above its best"
    return ""
