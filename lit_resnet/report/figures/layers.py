"""What the layers of a net do, over its depth: responses in the manner of Fig. 7, and signals (Sec. 4.1)."""

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite, log10
from statistics import fmean, median
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lit_resnet.report.figures import style
from lit_resnet.report.figures.drawing import HUGE, Drawn, colours, labels_of, look_of
from lit_resnet.report.runs import FinishedCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fig7(cells: Sequence[FinishedCell]) -> Drawn:
    """Standard deviation of each layer's response, in the order of the layers (top) and ranked (bottom)."""
    responses = [(cell, std) for cell in cells if (std := _responses(cell))]
    if not responses:
        return None, "No finished run measured its layer responses."
    figure = Figure(figsize=(8, 5), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, sharey=True)
    labels = labels_of([cell for cell, _ in responses])
    for (label, marker), (cell, std) in zip(labels, responses, strict=True):
        look = look_of(cell, marker, len(std)) | (style.PLAIN_LINE if cell.plain else style.RESIDUAL_LINE)
        layers = range(1, len(std) + 1)
        top.plot(layers, std, label=label, **look)
        bottom.plot(layers, sorted(std, reverse=True), **look)
    depths = {label: len(std) for (label, _), (_, std) in zip(labels, responses, strict=True)}
    last = max([depth for depth in depths.values() if depth < HUGE] or depths.values())
    for ax, order in ((top, "layer, in order"), (bottom, "layer, from the largest response to the smallest")):
        ax.set_xlabel(order)
        ax.set_ylabel("std of the response")
        ax.set_xlim(0, last + 1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylim(bottom=0)
        ax.tick_params(labelbottom=True)
    for text in figure.legend(loc="outside right upper").get_texts():
        text.set_parse_math(False)
    caption = (
        "Standard deviation of each layer's output, after batch normalization and before the nonlinearity or the "
        "addition: in the order of the layers (top) and ranked (bottom). It is one number over all test images, "
        "positions and channels, in evaluation mode; the first convolution counts, 1x1 projections do not. By channel "
        "the quickstart's numbers are up to 24 % lower and in the same order. Plain nets are dashed, residual nets "
        f"solid{colours(cells)}."
    )
    if len({cell.plain for cell, _ in responses}) > 1:
        caption += " Compare each residual net with the plain net of its colour."
    if further := [label for label, depth in depths.items() if depth > last]:
        caption += f" The lines of {', '.join(further)} go on to the right of the axis."
    return figure, caption


def _responses(cell: FinishedCell) -> list[float]:
    """Mean response of each layer over the seeds that measured it; empty where none did."""
    numbers = [stds for stds in cell.responses if all(map(isfinite, stds))]  # a net that diverged has none
    return [fmean(layer) for layer in zip(*numbers, strict=True)]


def gradients(cells: Sequence[FinishedCell]) -> Drawn:
    """Variance of each layer's response (top) and norm of its gradient (bottom), from the first layer to the last."""
    signals = {"variance of the response": "variance", "norm of the gradient": "gradient"}
    sampled = [cell for cell in cells if _iterations(cell, "variance")]
    if not sampled:
        return None, "No finished run measured its signals (model.signals_every)."
    panels = {"plain nets": [c for c in sampled if c.plain], "residual nets": [c for c in sampled if not c.plain]}
    panels = {name: group for name, group in panels.items() if group}
    figure = Figure(figsize=(2 + 3 * len(panels), 5.4), layout="constrained")
    axes = figure.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False)
    for row, (ylabel, column) in zip(axes, signals.items(), strict=True):
        row[0].set_ylabel(ylabel)
        for ax, group in zip(row, panels.values(), strict=True):
            for cell, (label, marker) in zip(group, labels_of(group, by_depth=True), strict=True):
                _signal(ax, cell, marker, _iterations(cell, column), label)
        row[0].set_yscale("log")
        _widen(row[0])
    for top, bottom, name in zip(*axes, panels, strict=True):
        top.set_title(name)
        bottom.set_xlabel("place of the layer: 0 the first, 1 the last")
        for text in top.legend().get_texts():
            text.set_parse_math(False)
    caption = (
        "Forward (top): variance of each layer's output over the batch, after batch normalization and before the "
        "nonlinearity or the addition. Backward (bottom): norm of the loss's gradient with respect to it. Lines are of "
        f"the last sampled iteration, bands reach from the lowest to the highest of all{colours(cells)}. A signal "
        "that vanishes or explodes changes by orders of magnitude from one end of the net to the other."
    )
    return figure, caption


def _signal(ax: "Axes", cell: FinishedCell, marker: str, iterations: list[list[float]], label: str) -> None:
    last = iterations[-1]
    low, high = ([extreme(layer) for layer in zip(*iterations, strict=True)] for extreme in (min, max))
    places = [i / (len(last) - 1) for i in range(len(last))]  # from 0 to 1, to compare nets of 20 and 110 layers
    look = look_of(cell, marker, len(last)) | (style.PLAIN_LINE if cell.plain else style.RESIDUAL_LINE)
    ax.plot(places, last, label=label, **look)
    ax.fill_between(places, low, high, color=look["color"], alpha=0.12, linewidth=0)


def _widen(ax: "Axes", orders: float = 3.0) -> None:
    """Let a logarithmic axis span at least `orders` orders of magnitude, so that small differences look small."""
    low, high = ax.get_ylim()
    more = 10 ** max(0.0, (orders - log10(high / low)) / 2)
    ax.set_ylim(low / more, high * more)


def _iterations(cell: FinishedCell, signal: str) -> list[list[float]]:
    """For each sampled iteration the signal of every layer, the median over the seeds that did not diverge."""
    seeds: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in (row for run in cell.signals for rows in run.values() for row in rows):
        seeds[row["step"]][row["layer"]].append(row[signal])
    return [[median(values) for _, values in sorted(layers.items())] for _, layers in sorted(seeds.items())]
