"""How the lines of cells look, in figures and on the page: one colour and one dash for each cell.

Where depth tells the nets apart, it is the colour, from light (shallow) to dark (deep), which colour-blind eyes and
grey print keep in order; plain nets are dashed. Otherwise the axes of the grid are told apart, or the cells themselves.

Every colour is declared twice, for a white page and for a dark one, with a contrast of at least 3 to 1 on it.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_resnet.grid.axes import Axis

WHITE, BLACK = "#ffffff", "#15181c"  # the two pages
# From light to dark: parts of matplotlib's plasma.
RAMPS = (
    ("#e56b5d", "#cc4778", "#b12a90", "#8f0da4", "#6a00a8", "#41049d", "#0d0887"),
    ("#f0f921", "#fcce25", "#fca636", "#f2844b", "#e16462", "#cc4778", "#b12a90"),
)
# Well apart from each other: for what has no order.
PALETTE = (
    ("#1f6fb4", "#6db3f2"),
    ("#c8501e", "#ff9a5c"),
    ("#2a8a3e", "#6fd08c"),
    ("#8e4fb8", "#c79bf0"),
    ("#7a4a35", "#d0a48c"),
    ("#c2307e", "#ff85bd"),
    ("#0f8a8f", "#4fd0d4"),
    ("#b8860b", "#e8c14a"),
)
FAMILIES = ("cifar", "imagenet")  # those of plain and residual nets; the first is what a config without one means
UNKNOWN = ("#6b6b6b", "#b5b9bf")  # where the depth is not known
SOLID, DASHED = (), (5.0, 3.0)
DASHES: tuple[tuple[float, ...], ...] = (SOLID, DASHED, (1.5, 2.5), (9.0, 3.0, 2.0, 3.0))  # lines and gaps, in pixels
# Depths from light (0) to dark (1), well apart where the paper draws them together; others are interpolated by log.
_PLACES = {8: 0.0, 20: 0.12, 32: 0.31, 44: 0.48, 56: 0.64, 110: 0.82, 1202: 1.0}


@dataclass(frozen=True)
class Look:
    """A line's colour, on a white page and on a dark one, and its dash: lengths of lines and gaps, none if solid."""

    light: str
    dark: str
    dash: tuple[float, ...] = SOLID


@dataclass(frozen=True)
class Looks:
    """The looks of all cells of a grid, by their names, and in words what colour and dash say."""

    of: dict[str, Look]
    note: str


def is_plain(net: Mapping[str, Any]) -> bool:
    """Whether a net, by its config, is plain. VGG and nets of one's own do not count: no residual net is their twin."""
    return net.get("shortcut") == "none" and net.get("family", FAMILIES[0]) in FAMILIES


def of_net(net: Mapping[str, Any]) -> Look:
    """The look of a net among nets of other depths: grey where its config does not say its depth."""
    depth = net.get("depth")
    colours = UNKNOWN
    if isinstance(depth, int) and depth > 0:
        colours = ramp(_between(math.log(depth), [math.log(known) for known in _PLACES], list(_PLACES.values())))
    return Look(*colours, DASHED if is_plain(net) else SOLID)


def ramp(place: float) -> tuple[str, str]:
    """The colours at a place from 0, light, to 1, dark; on a white page and on a dark one."""
    white, black = (_mixed(stops, place) for stops in RAMPS)
    return white, black


def of_cells(nets: Mapping[str, Mapping[str, Any]], axes: Sequence[Axis]) -> Looks:
    """The looks of cells from the configs of their nets, by cell, and from the axes of the grid."""
    kinds = [(net.get("depth"), is_plain(net)) for net in nets.values()]
    if len(set(kinds)) == len(kinds):
        note = "Dashed: plain nets; solid: the others. Colour: depth, from light to dark."
        return Looks({name: of_net(net) for name, net in nets.items()}, note)
    varying = [axis for axis in axes if axis.varies]
    return _by_axes(list(nets), varying) or _by_cell(list(nets))


def _by_axes(cells: list[str], axes: Sequence[Axis]) -> Looks | None:
    """The axis of most values is the colour, all others together are the dash; None where that is not enough."""
    if not axes:
        return None
    main = max(axes, key=lambda axis: len(axis.values))
    others = [axis for axis in axes if axis is not main]
    beside = {cell: tuple(axis.plain[cell] for axis in others) for cell in cells}
    combinations = list(dict.fromkeys(beside.values()))
    points = {(main.plain[cell], beside[cell]) for cell in cells}
    enough = len(combinations) <= len(DASHES) and (main.numeric or len(main.values) <= len(PALETTE))
    crossed = len(cells) == len(main.values) * len(combinations)
    # Where axes are not crossed, cells of one colour have less in common than it says: few have each their own.
    if len(points) < len(cells) or not enough or (not crossed and len(cells) <= len(PALETTE)):
        return None
    values = main.values
    last = max(1, len(values) - 1)
    colours = {value: ramp(i / last) if main.numeric else PALETTE[i] for i, value in enumerate(values)}
    note = f"Colour: {main.name}" + (", from light (small) to dark (large)." if main.numeric else ".")
    if len(combinations) > 1:
        note += f" Dashes: {' and '.join(axis.name for axis in others)}."
    return Looks(
        {cell: Look(*colours[main.plain[cell]], DASHES[combinations.index(beside[cell])]) for cell in cells}, note
    )


def _by_cell(cells: list[str]) -> Looks:
    """The colours of the palette in turn, then again with another dash."""
    size = len(PALETTE)
    looks = {cell: Look(*PALETTE[i % size], DASHES[i // size % len(DASHES)]) for i, cell in enumerate(cells)}
    return Looks(looks, "Colour and dashes tell the cells apart.")


def _between(x: float, known: list[float], values: list[float]) -> float:
    """Linear interpolation; beyond the ends, the value there."""
    i = bisect_right(known, x)
    if i in (0, len(known)):
        return values[min(i, len(known) - 1)]
    part = (x - known[i - 1]) / (known[i] - known[i - 1])
    return values[i - 1] + part * (values[i] - values[i - 1])


def _mixed(stops: Sequence[str], place: float) -> str:
    channels = [
        _between(place, [i / (len(stops) - 1) for i in range(len(stops))], [int(s[k : k + 2], 16) for s in stops])
        for k in (1, 3, 5)
    ]
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)
