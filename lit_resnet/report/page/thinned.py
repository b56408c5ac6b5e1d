"""Curves for the page, with so few points that a page of many runs stays small."""

import math
from dataclasses import dataclass

from lit_resnet.metrics import Metric
from lit_resnet.report.runs import GridRuns, Run

POINTS = 64_000  # of each metric on a page, or two for each run where that is more
LONGEST = 2_000  # points of a curve: a screen is no wider in pixels


@dataclass(frozen=True)
class Thinned:
    """All runs' curves: of each final metric every `strides[name]`-th logged point, and the last.

    Args:
        steps: The iterations of points; runs that log alike share a list.
        curves: For each run and metric, by its name: which of the lists in `steps`, and the values there in units of
            the metric's last digit, as whole numbers.
        strides: By the metric; 1 for one that is complete.
    """

    steps: list[list[int]]
    curves: list[dict[str, tuple[int, list[int]]]]
    strides: dict[Metric, int]

    def note(self) -> str:
        """What has been left out, for the reader."""
        kept = [f"every {_ordinal(stride)} {metric.label}" for metric, stride in self.strides.items() if stride > 1]
        if not kept:
            return "Every logged value is drawn."
        return f"Thinned: of the logged values only {' and '.join(kept)} of a run is drawn, and the last."


def thin(runs: GridRuns, points: int = POINTS) -> Thinned:
    """The curves of all runs, also of the unfinished, with about `points` points of each metric at most.

    Every run is thinned alike, so that seeds keep the same iterations and have a mean.

    Raises:
        InputError: A metrics.csv of a finished run is damaged.
    """
    logged = [{metric: _logged(run, metric) for metric in runs.final} for run in runs.runs]
    strides = {metric: _stride([len(run[metric]) for run in logged], points) for metric in runs.final}
    known: dict[tuple[int, ...], int] = {}
    curves = []
    for run in logged:
        kept = {metric.name: _every(rows, strides[metric]) for metric, rows in run.items() if rows}
        curves.append(
            {
                name: (known.setdefault(tuple(step for step, _ in rows), len(known)), [value for _, value in rows])
                for name, rows in kept.items()
            }
        )
    return Thinned([list(steps) for steps in known], curves, strides)


def _stride(lengths: list[int], points: int) -> int:
    return max(1, math.ceil(sum(lengths) / points), math.ceil(max(lengths) / LONGEST))


def _logged(run: Run, metric: Metric) -> list[tuple[int, int]]:
    return [(step, round(value * 10**metric.digits)) for step, value in run.logged(metric) if math.isfinite(value)]


def _every(rows: list[tuple[int, int]], stride: int) -> list[tuple[int, int]]:
    kept = rows[::stride]
    return kept if kept[-1] == rows[-1] else [*kept, rows[-1]]


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
