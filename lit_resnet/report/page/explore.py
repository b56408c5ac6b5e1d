"""The list of runs on the page: a column for each value that runs can be sorted or chosen by."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from lit_resnet.listing import count, duration
from lit_resnet.metrics import Metric
from lit_resnet.report.page.thinned import Thinned
from lit_resnet.report.runs import FinishedRun, GridRuns, Run
from lit_resnet.report.tables.table import NONE

MOST_CHOICES = 50  # in a menu
LONGEST = 300  # letters of a note: an error may hold a whole log


@dataclass(frozen=True)
class Column:
    """A column of the list of runs.

    Args:
        name: Its head.
        values: One per run, for sorting: a number or a word; None where there is none.
        texts: The values as the list shows them.
        word: Whether it holds words, which are aligned to the left.
        chosen: Whether the page offers to choose runs by it.
    """

    name: str
    values: list[Any]
    texts: list[str]
    word: bool = False
    chosen: bool = False

    @property
    def choices(self) -> list[str]:
        """The texts there are, numbers by size before words."""
        pairs = zip(self.values, self.texts, strict=True)
        return list(dict.fromkeys(text for _, text in sorted(pairs, key=lambda pair: _rank(*pair))))


def columns(runs: GridRuns, oddities: list[str]) -> list[Column]:
    """The columns, in the order of the page; `oddities` has for each run what is odd about it.

    Raises:
        InputError: A metrics.csv or an evaluation.json is damaged.
    """
    steps, wall, speed = (_summarised(runs, field) for field in ("steps", "wall_seconds", "images_per_second"))
    words = [_note(run, word) for run, word in zip(runs.runs, oddities, strict=True)]
    headline = runs.headline
    best = replace(headline, label=f"best {headline.label}")
    values = {metric: [run.value(metric) for run in runs.runs] for metric in runs.final if metric != headline}
    values |= _judged(runs) | {best: [run.best(headline) for run in runs.runs]}
    return [
        _words("cell", [run.cell for run in runs.runs]),
        _numbers("seed", [run.seed for run in runs.runs], str, chosen=True),
        _numbers(headline.head, [run.value(headline) for run in runs.runs], headline.text),
        _words("state", [run.state for run in runs.runs], chosen=True),
        *_axes(runs),
        _numbers("iterations", steps, count),
        *(_numbers(metric.head, found, metric.text) for metric, found in values.items()),
        _numbers("wall time", wall, duration),
        _numbers("images/s", speed, count),
        _words("note", words),
    ]


def data(runs: GridRuns, oddities: list[str], listed: list[Column], thinned: Thinned) -> dict[str, Any]:
    """What the page's script is given: the values of the columns, and the curves and how they look."""
    values = zip(*(column.values for column in listed), strict=True)
    names = [column.name for column in listed]
    return {
        "state": names.index("state"),
        "judged": names.index(runs.headline.head),
        "higher": runs.headline.better == "higher",
        "metrics": [
            {"name": m.name, "label": m.label, "unit": m.unit, "digits": m.digits, "thick": m == runs.headline}
            for m in runs.final
        ],
        "steps": thinned.steps,
        "runs": [
            {"cell": run.cell, "seed": run.seed, "values": row, "odd": bool(oddity), "curves": curves}
            for run, row, oddity, curves in zip(runs.runs, values, oddities, thinned.curves, strict=True)
        ],
        "looks": {cell: [[look.light, look.dark], look.dash] for cell, look in runs.looks.of.items()},
    }


def _axes(runs: GridRuns) -> list[Column]:
    """A column for each axis in which the cells differ."""
    found = []
    for axis in runs.axes:
        if axis.varies:
            values = [axis.plain[run.cell] for run in runs.runs]
            texts = [axis.text(run.cell) for run in runs.runs]
            listed = [text if isinstance(value, bool) else value for value, text in zip(values, texts, strict=True)]
            word = any(isinstance(value, str) for value in listed)
            found.append(Column(axis.name, listed, texts, word, chosen=len(axis.values) <= MOST_CHOICES))
    return found


def _rank(value: Any, text: str) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, value if number else 0.0, text


def _summarised(runs: GridRuns, field: str) -> list[Any]:
    return [getattr(run.summary, field) if run.summary else None for run in runs.runs]


def _judged(runs: GridRuns) -> dict[Metric, list[float | None]]:
    """The numbers by the protocols of several views that some run was judged by."""
    found, task = {}, runs.grid.task
    judged = [run.evaluations if isinstance(run, FinishedRun) else {} for run in runs.runs]
    known = (protocol for evaluations in judged for protocol in evaluations)
    wanted = [one for one in dict.fromkeys((*task.protocols, *known)) if one != "center" and task.knows(one)]
    for protocol, metric in product(wanted, task.judged):
        numbers = [evaluations.get(protocol, {}).get(metric.name) for evaluations in judged]
        if any(value is not None for value in numbers):
            found[replace(metric, label=f"{protocol} {metric.label.removesuffix(' error')}")] = numbers
    return found


def _note(run: Run, oddity: str) -> str:
    """What is odd about a run, why it failed, or how far it is."""
    said, far = " ".join(run.note.split()), f"{run.step:,} of {run.max_steps:,} iterations"
    if oddity:
        text = f"odd: {oddity}"
    elif run.summary or run.state == "failed" or not run.max_steps:
        text = said
    else:
        text = f"{far}; {said}" if said else far
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _words(name: str, values: list[str], *, chosen: bool = False) -> Column:
    return Column(name, [value or None for value in values], values, word=True, chosen=chosen)


def _numbers(name: str, values: list[Any], text: Callable[[Any], str], *, chosen: bool = False) -> Column:
    texts = [NONE if value is None else text(value) for value in values]
    return Column(name, [value if _finite(value) else None for value in values], texts, chosen=chosen)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
