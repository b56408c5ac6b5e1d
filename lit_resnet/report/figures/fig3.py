"""Fig. 3: nets side by side, layer by layer, drawn from their anatomies alone."""

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from lit_resnet import paper
from lit_resnet.report.figures import style
from lit_resnet.report.figures.drawing import Drawing
from lit_resnet.report.looks import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lit_resnet.probes.anatomy import Anatomy, Layer, Shortcut

INCHES = 0.285  # per unit; a unit is the height of a row, which is a layer and the arrow to the next
WIDTH, HEIGHT = 5.2, 0.6  # of a layer's box
COLUMN, MARGIN = 7.6, 3.5  # widths of a net, and of the map sizes on the left
HEAD, FOOT = 2.6, 1.7
BULGE = 1.5  # of a shortcut

STAGES = ("#fde3cf", "#f7edc6", "#e1dcf5", "#d3ecd2", "#f9d5d7", "#cde4f7")  # from the largest maps to the smallest
FULLY_CONNECTED, POOL = "#e6e6e6", "#ffffff"
INK, LINE = "#222222", "#777777"
# What a shortcut is multiplied by, for its label, and the colour of its line.
FACTORS = {
    "": ("", INK),
    "constant": (" times a constant", PALETTE[0][0]),
    "gate": (" times a gate", PALETTE[1][0]),
    "dropout": (" with dropout", PALETTE[3][0]),
}

Map = tuple[int, int]


def fig3(nets: Mapping[str, "Anatomy"]) -> Drawing:
    """Every net as a column from top to bottom; maps of one size begin at one height.

    Args:
        nets: By name. The first word of a name is what the paper calls the net in Table 1.
    """
    rows = _rows(nets.values())
    width = MARGIN + COLUMN * len(nets)
    bottom = max(max(_places(net, rows)) for net in nets.values()) + FOOT
    with rc_context(style.RC):
        figure = Figure(figsize=(width * INCHES, (bottom + HEAD) * INCHES))
        ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(bottom, -HEAD))
        ax.set_axis_off()
        for (height, side), row in rows.items():
            size = f"{height}" if height == side else f"{height}x{side}"
            ax.text(0.4, row, f"output\nsize: {size}", va="center", fontsize=8, color=INK, linespacing=1.1)
        for column, (name, net) in enumerate(nets.items()):
            _column(ax, MARGIN + COLUMN * column + WIDTH / 2, name, net, rows)
        looks = dict(_look(net, shortcut) for net in nets.values() for shortcut in net.shortcuts)
        handles = [Line2D([], [], label=label, **look) for label, look in looks.items()]
        if handles:
            ax.legend(handles=handles, loc="lower right", ncols=len(handles), fontsize=8, handlelength=2.6)
    title = "Nets for ImageNet, in the manner of Fig. 3"
    caption = (
        f"{', '.join(nets)}, read from their modules. Maps of one size have one colour and begin at one height. "
        "Dotted shortcuts increase dimensions."
    )
    return Drawing("fig3", title, caption, figure)


def words(layer: "Layer") -> str:
    """A layer as the figure writes it: `3x3 conv, 128, /2`, `pool, /2`, `avg pool`, `fc 1000`."""
    height, width = layer.kernel
    stride = f", /{layer.stride}" if layer.stride > 1 else ""
    return {
        "conv": f"{height}x{width} conv, {layer.width}{stride}",
        "max pool": f"pool{stride}",
        "avg pool": "avg pool",
        "fc": f"fc {layer.width}",
    }[layer.kind]


def _rows(nets: Collection["Anatomy"]) -> dict[Map, int]:
    """The row at which maps of each size begin, in all nets; the image is in row 0."""
    counts = [Counter(layer.map for layer in net.layers) for net in nets]
    sizes = sorted(set().union(*counts), reverse=True)
    heights = [max(count[size] for count in counts) for size in sizes]
    return dict(zip(sizes, accumulate(heights, initial=1), strict=False))


def _places(net: "Anatomy", rows: Mapping[Map, int]) -> list[int]:
    """The row of each layer."""
    seen: Counter[Map] = Counter()
    places = []
    for layer in net.layers:
        places.append(rows[layer.map] + seen[layer.map])
        seen[layer.map] += 1
    return places


def _column(ax: "Axes", x: float, name: str, net: "Anatomy", rows: Mapping[Map, int]) -> None:
    places = [0, *_places(net, rows)]
    printed = {row["net"]: row["gflops"] for row in paper.load()["table1"]["rows"]}.get(name.split()[0])
    ax.text(x, 1 - HEAD, name, ha="center", va="center", fontsize=10, fontweight="bold", color=INK)
    figures = f"{net.macs / 1e9:.2f} GFLOPs" + (f" (paper: {printed})" if printed else "")
    ax.text(x, 1.75 - HEAD, figures, ha="center", va="center", fontsize=8, color=INK)
    ax.text(x, 0, "image", ha="center", va="center", fontsize=8, color=INK)
    stages = dict(zip(rows, STAGES, strict=False))
    for place, layer in zip(places[1:], net.layers, strict=True):
        fill = POOL if "pool" in layer.kind else stages.get(layer.map, FULLY_CONNECTED)
        corner = (x - WIDTH / 2, place - HEIGHT / 2)
        look = {"facecolor": fill, "edgecolor": LINE, "linewidth": 0.7, "zorder": 2}
        ax.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12", **look))
        ax.text(x, place + 0.04, words(layer), ha="center", va="center", fontsize=7.5, color=INK, zorder=3)
    for above, below in pairwise(places):
        _arrow(ax, Path([(x, above + HEIGHT / 2), (x, below - HEIGHT / 2)]))
    for shortcut in net.shortcuts:
        # Below one layer a shortcut may end and the next begin: the next begins lower.
        top, bottom, edge = places[shortcut.start + 1] + 0.56, places[shortcut.end + 1] + 0.42, x + WIDTH / 2
        bend = [(edge, top), (edge + BULGE, top), (edge + BULGE, bottom), (edge, bottom)]
        codes = [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3, Path.LINETO]
        _, look = _look(net, shortcut)
        _arrow(ax, Path([(x, top), *bend, (x, bottom)], codes), **look)


def _look(net: "Anatomy", shortcut: "Shortcut") -> tuple[str, dict[str, Any]]:
    """Label and line of a shortcut: solid for the identity, dotted where dimensions increase, else dashed.

    One that is multiplied by something has a colour of its own.
    """
    start, end = net.layers[shortcut.start], net.layers[shortcut.end]
    factor, colour = FACTORS[shortcut.factor]
    if (start.width, start.map) != (end.width, end.map):
        label, line = f"{shortcut.kind}{factor}, dimensions increase", (0, (1, 1.6))
    else:
        label, line = f"{shortcut.kind}{factor}", "-" if shortcut.kind == "identity" else (0, (4, 1.6))
    return label, {"linestyle": line, "linewidth": 0.9, "color": colour}


def _arrow(ax: "Axes", path: Path, **look: Any) -> None:
    arrow = {"arrowstyle": "-|>,head_length=2,head_width=1.1", "mutation_scale": 1, "linewidth": 0.7, "color": LINE}
    ax.add_patch(FancyArrowPatch(path=path, zorder=1, **(arrow | look)))
