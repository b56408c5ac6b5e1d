"""Error over the iterations, in the manner of Figs. 1, 4 and 6."""

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lit_resnet.report.figures import style
from lit_resnet.report.figures.curves import Curve, Curves, curves_of
from lit_resnet.report.figures.drawing import HUGE, Drawn, colours, labels_of, look_of
from lit_resnet.report.figures.ends import label_ends
from lit_resnet.report.figures.scale import YLABEL, Scale, frame, from_zero
from lit_resnet.report.runs import FinishedCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fig1(cells: Sequence[FinishedCell]) -> Drawn:
    """Plain nets alone: training error left, test error right."""
    plain = _logged(cells)
    if not plain:
        return None, "No finished run of a plain net left a curve."
    scale = _from_zero(plain)
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    frame(left, "training error", scale)
    frame(right, "test error", scale)
    left.set_ylabel(YLABEL)
    for c, (label, marker) in zip(plain, labels_of([c.cell for c in plain], by_depth=True), strict=True):
        _line(left, c.train, c.cell, marker, style.TRAIN_LINE, label)
        _line(right, c.test, c.cell, marker, style.TEST_LINE, label)
    label_ends(left, scale)
    label_ends(right, scale)
    caption = (
        f"Plain nets alone: training error (left) and test error (right) over the iterations{colours(cells)}. Look "
        "at the left panel first: a net that ends high there was not trained well, whereas overfitting would show on "
        "the right only."
    )
    return figure, caption + _beyond(scale, plain) + _band(plain)


def fig6(cells: Sequence[FinishedCell]) -> Drawn:
    """Plain nets beside residual nets on one scale; nets of over 1000 layers in a third panel, beside that of 110."""
    drawn = _logged(cells)
    if not drawn:
        return None, "No finished run left a curve."
    scale = _from_zero(drawn)
    residual = [c for c in drawn if c.cell.residual]
    huge = {depth for c in residual if (depth := c.cell.depth or 0) >= HUGE}
    beside = [c for c in residual if huge and c.cell.depth in {110, *huge}]
    depths = sorted({c.cell.depth or 0 for c in beside})
    panels = {
        "plain nets": [c for c in drawn if c.cell.plain],
        "residual nets": [c for c in residual if c.cell.depth not in huge],
        f"residual nets of {' and '.join(map(str, depths))} layers": beside,
    }
    figure = _panels(panels, scale, {"training error": style.TRAIN_LINE, "test error": style.TEST_LINE})
    caption = "Training error (dashed) and test error (bold) over the iterations, all on one scale"
    caption += f"{colours(cells)}."
    if len(figure.axes) > 1:
        caption += " Compare the order of the depths among the plain nets with that among the residual nets."
    return figure, caption + _beyond(scale, drawn) + _band(drawn)


def fig4(cells: Sequence[FinishedCell]) -> Drawn:
    """Plain nets left, residual nets right: training error thin, validation error of the centre crop bold."""
    drawn = _logged(cells)
    if not drawn:
        return None, "No finished run left a curve."
    panels = {
        "plain nets": [c for c in drawn if c.cell.plain],
        "residual nets": [c for c in drawn if c.cell.residual],
    }
    scale = _around_the_plateaus(drawn)
    figure = _panels(panels, scale, {"training error": style.THIN_LINE, "validation error": style.TEST_LINE})
    caption = (
        "Training error (thin) and validation error of the centre crop (bold) over the iterations, on one scale, which "
        f"leaves out the first descent{colours(cells)}. The training error is of images as they are augmented, which "
        "are harder than those to validate on. Compare the order of the depths on the left with that on the right."
    )
    return figure, caption + _beyond(scale, drawn) + _band(drawn)


def _logged(cells: Sequence[FinishedCell]) -> list[Curves]:
    """The curves of the cells that have any."""
    return [c for c in map(curves_of, cells) if c.train or c.test]


def _panels(panels: dict[str, list[Curves]], scale: Scale, looks: dict[str, dict[str, Any]]) -> Figure:
    """Draw the panels that have curves, side by side; `looks` are those of the two errors, training error first."""
    panels = {name: group for name, group in panels.items() if group}
    train, test = looks.values()
    figure = Figure(figsize=(2 + 3 * len(panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    axes[0].set_ylabel(YLABEL)
    for ax, (name, group) in zip(axes, panels.items(), strict=True):
        frame(ax, name, scale)
        for c, (label, marker) in zip(group, labels_of([c.cell for c in group], by_depth=True), strict=True):
            _line(ax, c.train, c.cell, marker, train, "" if c.test else label)
            _line(ax, c.test, c.cell, marker, test, label)
        label_ends(ax, scale)
    handles = [Line2D([], [], color="#444444", label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _from_zero(curves: list[Curves]) -> Scale:
    return from_zero([_end(c) for c in curves], _last_step(curves))


def _end(curves: Curves) -> float:
    """The highest error at which a line of the cell ends."""
    return max(curve.mean[-1] for curve in _lines([curves]))


def _beyond(scale: Scale, curves: list[Curves]) -> str:
    """What the caption says of nets that end above the axis."""
    names = [name for name, _ in labels_of([c.cell for c in curves])]
    return scale.beyond(dict(zip(names, map(_end, curves), strict=True)))


def _around_the_plateaus(curves: list[Curves]) -> Scale:
    """The scale of Fig. 4 (there 20 to 60 %): in tens, from the lowest error to those in training's second tenth."""
    last_step = _last_step(curves)
    lowest, early = [], []
    for curve in _lines(curves):
        errors = {step: error for step, error in zip(curve.steps, curve.mean, strict=True) if math.isfinite(error)}
        second_tenth = [error for step, error in errors.items() if 0.1 <= step / last_step <= 0.2]
        lowest.append(min(errors.values(), default=0.0))
        early.append(median(second_tenth or errors.values() or [100.0]))  # the median, as a single error is noisy
    bottom = 10 * (min(lowest) // 10)
    return Scale(last_step, min(100, max(10 * math.ceil(max(early) / 10), bottom + 20)), bottom)


def _lines(curves: list[Curves]) -> Iterator[Curve]:
    return (curve for c in curves for curve in (c.train, c.test) if curve)


def _last_step(curves: list[Curves]) -> int:
    return max(curve.steps[-1] for curve in _lines(curves))


def _line(ax: "Axes", curve: Curve | None, cell: FinishedCell, marker: str, kind: dict, label: str) -> None:
    if curve is None:
        return
    look = look_of(cell, marker, len(curve.steps)) | kind
    ax.plot(curve.steps, curve.mean, label=label, **look)
    if len(cell.runs) > 1:
        ax.fill_between(curve.steps, curve.low, curve.high, color=look["color"], alpha=0.18, linewidth=0)


def _band(curves: list[Curves]) -> str:
    if all(len(c.cell.runs) == 1 for c in curves):
        return ""
    return " Lines are means over the seeds; bands reach from the lowest to the highest seed."
