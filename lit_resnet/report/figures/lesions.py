"""What a trained net loses with its blocks, in the manner of Figs. 3 to 5 of Veit, Wilber and Belongie (2016)."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from lit_resnet.report.figures import style
from lit_resnet.report.figures.drawing import Drawn, colours, labels_of, look_of
from lit_resnet.report.figures.scale import YLABEL
from lit_resnet.report.runs import FinishedCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NONE, HALF = -0.12, 0.03  # where the whole net stands beside the places of its blocks, and half the length of its line
GUESSING = {"color": "#6b6b6b", "linestyle": (0, (1, 2)), "linewidth": 1.0}


def lesions(cells: Sequence[FinishedCell]) -> Drawn:
    """Test error without each block alone (left), and over the number of blocks that are taken out (right)."""
    measured = [cell for cell in cells if cell.lesions]
    if not measured:
        return None, "No finished run was measured without its blocks: lit-resnet lesion RUN... does that."
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    alone, several = figure.subplots(1, 2, sharey=True)
    for cell, (label, marker) in zip(measured, labels_of(measured), strict=True):
        _alone(alone, cell, marker, label)
        _several(several, cell, marker)
    alone.set(xlabel="block taken out: 0 the first, 1 the last", ylabel=YLABEL, title="each block alone")
    alone.set_xticks([NONE, 0, 0.25, 0.5, 0.75, 1], ["none", "0", "0.25", "0.5", "0.75", "1"])
    several.set(xlabel="blocks taken out", title="several, drawn at random")
    several.set_xlim(left=0)
    several.xaxis.get_major_locator().set_params(integer=True)
    classes = {cell.summary.net_config.get("num_classes") or 0 for cell in measured}
    if len(classes) == 1 and (guessing := _guessing(*classes)):
        for ax in (alone, several):
            ax.axhline(guessing, **GUESSING)
        several.plot([], [], label=f"guessing, {guessing:g} %", **GUESSING)
    alone.set_ylim(0, 100)
    for text in figure.legend(loc="outside right upper", handlelength=2.8).get_texts():
        text.set_parse_math(False)
    return figure, _caption(measured)


def _guessing(classes: int) -> float | None:
    """The error of guessing in percent; None where nobody says among how many classes."""
    return 100 - 100 / classes if classes else None


def _alone(ax: "Axes", cell: FinishedCell, marker: str, label: str) -> None:
    """The mean over the seeds, beside the whole net; an open circle where the block changes dimensions."""
    seeds = [[lesion for lesion in found if lesion.removed < 2] for found in cell.lesions]
    whole, *errors = [fmean(lesion.error for lesion in of_block) for of_block in zip(*seeds, strict=True)]
    places = [i / max(1, len(errors) - 1) for i in range(len(errors))]  # to compare nets of several depths
    line = style.PLAIN_LINE if cell.plain else style.RESIDUAL_LINE
    ax.plot(places, errors, label=label, **look_of(cell, marker, len(errors)) | line)
    ax.plot([NONE - HALF, NONE + HALF], [whole, whole], **look_of(cell, "", 2) | line)
    changing = [i for i, lesion in enumerate(seeds[0][1:]) if not lesion.keeps]
    circles = {"linestyle": "none", "marker": "o", "markersize": 6, "markerfacecolor": "white"}
    ax.plot([places[i] for i in changing], [errors[i] for i in changing], color=cell.look.light, **circles)


def _several(ax: "Axes", cell: FinishedCell, marker: str) -> None:
    """The mean over the draws and seeds, within one standard deviation."""
    numbers: dict[int, list[float]] = defaultdict(list)
    for lesion in (lesion for found in cell.lesions for lesion in found if lesion.keeps):
        numbers[lesion.removed].append(lesion.error)
    removed = sorted(numbers)
    means = [fmean(numbers[n]) for n in removed]
    spreads = [stdev(numbers[n]) if len(numbers[n]) > 1 else 0.0 for n in removed]
    look = look_of(cell, marker, len(removed)) | (style.PLAIN_LINE if cell.plain else style.RESIDUAL_LINE)
    ax.plot(removed, means, **look)
    low = [max(0.0, mean - spread) for mean, spread in zip(means, spreads, strict=True)]
    high = [min(100.0, mean + spread) for mean, spread in zip(means, spreads, strict=True)]
    ax.fill_between(removed, low, high, color=look["color"], alpha=0.12, linewidth=0)


def _caption(cells: Sequence[FinishedCell]) -> str:
    over = "draws and seeds" if any(len(cell.lesions) > 1 for cell in cells) else "draws"
    return (
        "Test error of trained nets without some of their blocks, in the manner of Veit, Wilber and Belongie (2016). "
        "Left: without each block alone, and of the whole net (none); open circles are blocks that change dimensions. "
        "Right: without several of those that keep dimensions, drawn at random; 0 is the whole net, 1 is each alone. "
        f"Lines are means over {over}, bands one standard deviation of these. A residual block that is taken out "
        "passes on its shortcut alone, a block of a plain net its input; nothing is trained after that. Plain nets are "
        f"dashed, residual nets solid{colours(cells)}."
    )
