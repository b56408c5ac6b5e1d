"""Curves for the page: so few points that a page of many runs stays small."""

import math
from dataclasses import dataclass
from typing import Any

from lit_resnet.report.runs import GridRuns

KINDS = {"train": "train_error", "test": "test_error"}  # columns of metrics.csv
POINTS = 100_000  # of each kind on a page, or two for each run where that is more
LONGEST = 2_000  # points of a curve: a screen has no more pixels for them


@dataclass(frozen=True)
class Thinned:
    """All runs' curves: of each kind every `strides[kind]`-th logged point, and the last.

    Args:
        steps: The iterations of points; runs that log alike share a list.
        curves: For each run and kind, which of the lists in `steps`, and errors there in hundredths of a percent.
        strides: 1 for a kind that is complete.
    """

    steps: list[list[int]]
    curves: list[dict[str, tuple[int, list[int]]]]
    strides: dict[str, int]

    def note(self) -> str:
        """What has been left out, for the reader."""
        kept = [f"every {_ordinal(stride)} {kind} error" for kind, stride in self.strides.items() if stride > 1]
        if not kept:
            return "Every logged error is drawn."
        return f"Thinned: of the logged errors only {' and '.join(kept)} of a run is drawn, and the last."


def thin(runs: GridRuns, points: int = POINTS) -> Thinned:
    """The curves of all runs, also of the unfinished, with about so many points of each kind at most.

    Every run is thinned alike, so that seeds keep the same iterations and have a mean.

    Raises:
        InputError: A metrics.csv of a finished run is damaged.
    """
    logged = [{kind: _logged(run.curve, column) for kind, column in KINDS.items()} for run in runs.runs]
    strides = {kind: _stride([len(run[kind]) for run in logged], points) for kind in KINDS}
    known: dict[tuple[int, ...], int] = {}
    curves = []
    for run in logged:
        kept = {kind: _every(rows, strides[kind]) for kind, rows in run.items() if rows}
        curves.append(
            {
                kind: (known.setdefault(tuple(step for step, _ in rows), len(known)), [error for _, error in rows])
                for kind, rows in kept.items()
            }
        )
    return Thinned([list(steps) for steps in known], curves, strides)


def _stride(lengths: list[int], points: int) -> int:
    return max(1, math.ceil(sum(lengths) / points), math.ceil(max(lengths) / LONGEST))


def _logged(metrics: list[dict[str, Any]], column: str) -> list[tuple[int, int]]:
    found = [(row["step"], row[column]) for row in metrics if row[column] is not None]
    return [(step, round(100 * error)) for step, error in found if math.isfinite(error)]


def _every(rows: list[tuple[int, int]], stride: int) -> list[tuple[int, int]]:
    kept = rows[::stride]
    return kept if kept[-1] == rows[-1] else [*kept, rows[-1]]


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
