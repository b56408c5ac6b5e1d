"""The scale of figures of errors over the iterations."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Scale:
    """The axes that all panels of a figure share, chosen so that the end of every curve can be read."""

    last_step: int
    top: float
    bottom: float = 0.0
    logarithmic: bool = False

    @property
    def ylabel(self) -> str:
        """Label of the axis of errors."""
        return "error (%), logarithmic above 1" if self.logarithmic else "error (%)"

    @property
    def words(self) -> str:
        """A sentence of the caption; empty where there is nothing to say."""
        return " The error axis is logarithmic above 1 %: the nets end far apart." if self.logarithmic else ""

    @property
    def unit(self) -> int:
        """Iterations that one on the axis stands for."""
        return 10_000 if self.last_step > 20_000 else 1

    @property
    def xlabel(self) -> str:
        """Label of the axis of iterations."""
        return "iter. (1e4)" if self.unit > 1 else "iteration"


def from_zero(ends: Collection[float], last_step: int) -> Scale:
    """The scale of Fig. 6, for curves that end there.

    The paper draws 0 to 20 % and leaves a net above it out; here the axis has room for it.
    """
    logarithmic = max(ends) > 5 * max(min(ends), 1.0)
    fitting = (top for top in (5, 10, 20, 40, 60, 80) if top >= 1.5 * max(ends) and not logarithmic)
    return Scale(last_step, next(fitting, 100), logarithmic=logarithmic)


def frame(ax: "Axes", title: str, scale: Scale) -> None:
    """Give a panel its title, and the axes of the scale."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    ax.set_title(title)
    ax.set_xlabel(scale.xlabel)
    ax.set_xlim(0, scale.last_step)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / scale.unit:g}"))
    if scale.logarithmic:
        ax.set_yscale("symlog", linthresh=1, linscale=0.5)
        ax.set_yticks([0, 1, 2, 5, 10, 20, 50, 100], labels=["0", "1", "2", "5", "10", "20", "50", "100"])
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_ylim(scale.bottom, scale.top)
