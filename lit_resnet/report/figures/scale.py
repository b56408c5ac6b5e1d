"""The scale of figures of errors over the iterations."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

YLABEL = "error (%)"
TOPS = (5, 10, 20, 40, 60, 80, 100)  # percent at which an axis may end
ROOM = 1.25  # an axis is at least so many times as high as the highest end that counts
FAILED, FAR = 60.0, 3.0  # a net that ends above this error, and so many times as high as the next one, does not count


@dataclass(frozen=True)
class Scale:
    """The axes that all panels of a figure share, linear as the paper's."""

    last_step: int
    top: float
    bottom: float = 0.0

    def shows(self, end: float) -> bool:
        """Whether a line that ends at this error ends within the axis; one that ends at no number does not."""
        return end <= self.top

    def beyond(self, ends: Mapping[str, float]) -> str:
        """A sentence of the caption on the nets that end above the axis; empty where none does.

        Args:
            ends: By the net's name the highest error at which a line of it ends.
        """
        above = [name for name, end in ends.items() if not self.shows(end)]
        return f" Above the axis, with an arrow and the error at the end: {', '.join(above)}." if above else ""

    @property
    def unit(self) -> int:
        """Iterations that one on the axis stands for."""
        return 10_000 if self.last_step > 20_000 else 1

    @property
    def xlabel(self) -> str:
        """Label of the axis of iterations."""
        return "iter. (1e4)" if self.unit > 1 else "iteration"


def from_zero(ends: Collection[float], last_step: int) -> Scale:
    """The scale of Figs. 1 and 6: linear from 0, on which the order of the nets that trained can be read.

    The paper draws 0 to 20 %, and leaves out plain-110, which ends above 60 %. So here nets that end above `FAILED`
    percent, and more than `FAR` times as high as the next lower one, have no say in the scale. The axis ends at the
    first of `TOPS` that leaves room above all others: at 20 % for the errors of the paper's nets on CIFAR-10. A line
    that ends above the axis is not lost: `label_ends` writes its end at the edge, and the caption names its net.

    Args:
        ends: The highest error at which a line of each net ends.
        last_step: The last iteration of all.
    """
    known = sorted(end for end in ends if isfinite(end)) or [100.0]
    failed = (low for low, high in pairwise(known) if high > max(FAILED, FAR * low))
    highest = next(failed, known[-1])
    return Scale(last_step, next((top for top in TOPS if top >= ROOM * highest), TOPS[-1]))


def frame(ax: "Axes", title: str, scale: Scale) -> None:
    """Give a panel its title, and the axes of the scale."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_title(title)
    ax.set_xlabel(scale.xlabel)
    ax.set_xlim(0, scale.last_step)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / scale.unit:g}"))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_ylim(scale.bottom, scale.top)
