"""Figures of any grid: the curves of its cells, and the final result over what the grid varies."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from lit_resnet.grid.axes import Plain, text
from lit_resnet.metrics import Metric
from lit_resnet.report.figures.curves import Curve, curve
from lit_resnet.report.figures.drawing import Drawn, labels_of
from lit_resnet.report.figures.ends import label_ends
from lit_resnet.report.figures.scale import YLABEL, frame, from_zero
from lit_resnet.report.looks import PALETTE
from lit_resnet.report.runs import FinishedCell, Over
from lit_resnet.report.tables.table import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CELLS = 12  # in a legend
MOST_LINES = 6  # over an axis; of more combinations there are points
MOST_POINTS = 200  # that are drawn one by one in an SVG file
LONGEST = 36  # letters of a label
LEAST = 3  # numbers of an axis
WIDE = 30  # an axis whose largest number is so many times its smallest is logarithmic


def curves(cells: Sequence[FinishedCell]) -> Drawn:
    """The results of each cell over the iterations, a panel for each; of more than `MOST_CELLS` cells the best ones."""
    logged, drawn = _logged(cells), foremost(cells)
    if not drawn:
        return None, "No finished run left a curve."
    headline = drawn[0].runs[0].task.headline
    panels = lines_of(drawn)
    if not panels:
        return None, "The runs share no iteration at which they were measured."
    figure = Figure(figsize=(2.6 + 2.9 * len(panels), 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    labels = {cell.name: _cut(label) for cell, (label, _) in zip(drawn, labels_of(drawn), strict=True)}
    ends: dict[str, float] = {}
    for cell, line in (pair for metric, lines in panels.items() if _is_error(metric) for pair in lines):
        ends[labels[cell.name]] = max(line.mean[-1], ends.get(labels[cell.name], 0.0))
    scale = from_zero(ends.values(), max(line.steps[-1] for lines in panels.values() for _, line in lines))
    for ax, (metric, lines) in zip(axes, panels.items(), strict=True):
        if _is_error(metric):
            frame(ax, metric.label, scale)
        else:
            ax.set_title(metric.label)
            ax.set_xlabel("iteration")
        if not _is_error(metric) or ax is axes[0]:
            ax.set_ylabel(YLABEL if _is_error(metric) else metric.head)
        for cell, line in lines:
            ax.plot(line.steps, line.mean, label=labels[cell.name], linewidth=1.5, **_line(cell))
            if len(cell.runs) > 1:
                ax.fill_between(line.steps, line.low, line.high, color=cell.look.light, alpha=0.12, linewidth=0)
        if _is_error(metric):
            label_ends(ax, scale, names=False)
    _legend(figure, axes[-1])
    *before, last = (metric.label if i else metric.first for i, metric in enumerate(panels))
    caption = f"{' and '.join(filter(None, [', '.join(before), last]))} over the iterations"
    if len(drawn) < len(logged):
        caption += f", of the {len(drawn)} cells of the best {headline.label} among {len(logged)}, the best one first"
    if any(len(cell.runs) > 1 for cell in drawn):
        caption += ". Lines are means over the seeds; bands reach from the lowest to the highest seed"
    return figure, f"{caption}.{scale.beyond(ends)}"


def foremost(cells: Sequence[FinishedCell]) -> list[FinishedCell]:
    """The cells whose curves are drawn: all that left any; of more than `MOST_CELLS` the best, the best one first."""
    logged = _logged(cells)
    if len(logged) <= MOST_CELLS:
        return logged
    headline = logged[0].runs[0].task.headline
    return sorted(logged, key=lambda cell: _rank(cell.over_seeds(headline)))[:MOST_CELLS]


def lines_of(cells: Sequence[FinishedCell]) -> dict[Metric, list[tuple[FinishedCell, Curve]]]:
    """The curves of some cells by metric, a panel of the figure each; of optional metrics those that all cells have."""
    final = cells[0].runs[0].task.final
    found = {metric: [(cell, line) for cell in cells if (line := curve(cell, metric))] for metric in final}
    return {m: lines for m, lines in found.items() if lines and (len(lines) == len(cells) or not m.optional)}


def over_axes(cells: Sequence[FinishedCell]) -> Drawn:
    """The final headline metric over each axis of at least `LEAST` numbers, a panel for each."""
    points = [_Point(cell, over) for cell in cells if (over := _result(cell))]
    names = [name for name in (points[0].cell.axes if points else ()) if _numbers(points, name)]
    if not names:
        return None, f"The grid has no axis of {LEAST} numbers, or too few of its runs are finished."
    metric = points[0].over.metric
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(1.2 + 3.4 * columns, 0.2 + 3.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        _panel(ax, name, points)
    for row in axes:
        row[0].set_ylabel(metric.head)
    caption = f"Final {metric.label} over {' and over '.join(names)}"
    if any(point.over.std is not None for point in points):
        caption += "; means over the seeds, with bars of one standard deviation where points are joined"
    return figure, f"{caption}. A line is one combination of all else that the grid varies, where these are few."


@dataclass(frozen=True)
class _Point:
    cell: FinishedCell
    over: Over

    def beside(self, name: str) -> tuple[tuple[str, Plain], ...]:
        """Where it is on the other axes."""
        return tuple((other, value) for other, value in self.cell.axes.items() if other != name)


def _panel(ax: "Axes", name: str, points: list[_Point]) -> None:
    lines: dict[tuple[tuple[str, Plain], ...], list[_Point]] = defaultdict(list)
    for point in points:
        lines[point.beside(name)].append(point)
    joined = len(lines) <= MOST_LINES and any(len(line) > 1 for line in lines.values())
    groups = list(lines.items()) if joined else [((), points)]
    for i, (beside, group) in enumerate(groups):
        group.sort(key=lambda point: _number(point.cell.axes[name]))
        x = [_number(point.cell.axes[name]) for point in group]
        y = [point.over.mean for point in group]
        look: dict[str, Any] = {"color": PALETTE[i][0], "marker": "o", "markersize": 4}
        label = _cut(", ".join(f"{other}={text(value)}" for other, value in beside if value is not None)) or NONE
        if joined:
            bars = [point.over.std or 0.0 for point in group]
            ax.errorbar(x, y, bars, label=label, linewidth=1.4, elinewidth=0.8, capsize=2, **look)
        else:  # of thousands of points an SVG file would be large
            ax.plot(x, y, linestyle="none", alpha=0.5, rasterized=len(x) > MOST_POINTS, **look)
    _scale(ax, name, [_number(point.cell.axes[name]) for point in points], [point.over.mean for point in points])
    if joined and len(groups) > 1:
        for label in ax.legend(fontsize=7.5, loc="lower left", bbox_to_anchor=(0.0, 1.0)).get_texts():
            label.set_parse_math(False)


def _scale(ax: "Axes", name: str, x: list[float], y: list[float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    ax.set_xlabel(name, parse_math=False)
    positive = [value for value in x if value > 0]
    if min(x) >= 0 and positive and max(positive) >= WIDE * min(positive):
        if min(x) > 0:
            ax.set_xscale("log")
        else:
            ax.set_xscale("symlog", linthresh=min(positive))
    if len(set(x)) <= 8:
        ax.set_xticks(sorted(set(x)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.tick_params(axis="x", labelrotation=45 if len(set(x)) > 5 else 0)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if min(y) > 0 and max(y) >= 10 * min(y):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, ax: "Axes") -> None:
    handles, labels = ax.get_legend_handles_labels()
    for label in figure.legend(handles, labels, loc="outside right upper", handlelength=2.8).get_texts():
        label.set_parse_math(False)


def _line(cell: FinishedCell) -> dict[str, Any]:
    """Colour and dash; matplotlib counts a dash in widths of the line."""
    dash = tuple(length / 1.5 for length in cell.look.dash)
    return {"color": cell.look.light, "linestyle": (0, dash) if dash else "-"}


def _logged(cells: Sequence[FinishedCell]) -> list[FinishedCell]:
    return [cell for cell in cells if all(run.curve for run in cell.runs)]


def _is_error(metric: Metric) -> bool:
    """Whether it is drawn on the scale of errors that its figure has."""
    return metric.unit == "%" and metric.better == "lower"


def _result(cell: FinishedCell) -> Over | None:
    over = cell.over_seeds(cell.runs[0].task.headline)
    return over if over and math.isfinite(over.mean) else None


def _rank(over: Over | None) -> float:
    """Smaller is better; what is no number is worst."""
    if over is None or not math.isfinite(over.mean):
        return math.inf
    return -over.mean if over.metric.better == "higher" else over.mean


def _numbers(points: list[_Point], name: str) -> bool:
    values = {point.cell.axes[name] for point in points}
    return len(values) >= LEAST and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _number(value: Plain) -> float:
    assert isinstance(value, int | float)  # see `_numbers`
    return float(value)


def _cut(label: str) -> str:
    """A long label without its middle."""
    half = LONGEST // 2
    return label if len(label) <= LONGEST else f"{label[:half]}…{label[1 - half :]}"
