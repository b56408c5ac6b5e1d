"""What stands at the right end of a panel's lines."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lit_resnet.report.figures import style
from lit_resnet.report.figures.scale import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# The thin line from a curve's end to the left edge of its label; other labels may stand above and below.
LEADER = {"arrowstyle": "-", "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 1}


def label_ends(ax: "Axes", scale: Scale, names: bool = True) -> None:
    """Write the name of each labelled line at its right end, as the paper does, without overlaps.

    A line that ends above the axis has the error of its end there, behind an arrow, below its name.

    Args:
        ax: A panel on that scale whose lines are drawn.
        scale: Its scale.
        names: Write names; otherwise errors alone, as in a figure with a legend.
    """
    labels: list[tuple[str, Line2D]] = []  # from the bottom to the top, where two are of one line
    for line in (line for line in ax.get_lines() if not str(line.get_label()).startswith("_")):
        labels += [] if scale.shows(_end(line)) else [(f"↑ {_end(line):.1f} %", line)]
        labels += [(str(line.get_label()), line)] if names else []
    heights = [(_end(line) - scale.bottom) / (scale.top - scale.bottom) for _, line in labels]
    places = style.keep_apart(heights, 0.075, 0.02, 0.98)
    for (label, line), height, place in zip(labels, heights, places, strict=True):
        look: dict[str, Any] = {"color": line.get_color()}
        leader = {"arrowprops": LEADER | look} if scale.shows(_end(line)) else {}
        ax.annotate(
            label,
            xy=(float(np.asarray(line.get_xdata())[-1]) / scale.last_step, height),
            xytext=(1.05, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontweight="bold",
            fontsize=8.5,
            parse_math=False,
            annotation_clip=False,
            **look,
            **leader,
        )


def _end(line: "Line2D") -> float:
    return float(np.asarray(line.get_ydata())[-1])
