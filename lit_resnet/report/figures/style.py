"""One style for all figures: that of a line says what it shows. Colours are those of `looks.py`."""

from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

TRAIN_LINE = {"linestyle": (0, (4, 2)), "linewidth": 1.0}
TEST_LINE = {"linestyle": "-", "linewidth": 2.0}
THIN_LINE = {"linestyle": "-", "linewidth": 0.8}  # Fig. 4's training error
PLAIN_LINE = {"linestyle": (0, (4, 2)), "linewidth": 1.2}
RESIDUAL_LINE = {"linestyle": "-", "linewidth": 1.6}

# Nets of one colour in one panel are told apart by these.
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X")

RC: "dict[RcKeyType, Any]" = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 180,
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
}


def keep_apart(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels: as near to the wanted ones as possible, in their order, `gap` apart, within [low, high].

    If they do not fit, they are spaced evenly from low to high.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    # With rank times gap subtracted from each place, places must only not decrease. Labels that would break this share
    # the mean of their wanted places (isotonic regression).
    groups: list[list[float]] = []
    for rank, i in enumerate(order):
        groups.append([wanted[i] - rank * gap])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    highest = high - (len(wanted) - 1) * gap
    shared = [min(max(fmean(group), low), highest) for group in groups for _ in group]
    places = dict(zip(order, shared, strict=True))
    return [places[i] + order.index(i) * gap for i in range(len(wanted))]
