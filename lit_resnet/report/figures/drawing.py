"""A figure with its words, and how its lines tell the nets apart."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.figure import Figure

from lit_resnet.report.figures import style
from lit_resnet.report.looks import of_net
from lit_resnet.report.runs import FinishedCell

# What a figure's function returns: the figure and its caption; with nothing to draw, None and what is missing.
Drawn = tuple[Figure | None, str]

HUGE = 1000  # layers; a net of so many has a place of its own, so that the others keep theirs


@dataclass(frozen=True)
class Drawing:
    """A figure and its words.

    Args:
        name: Name of its files.
        title: Heading of its section.
        caption: What is to be seen; if `figure` is None, what is missing.
        figure: The figure; None where there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    figure: Figure | None


def render(drawing: Drawing, format: Literal["png", "svg"]) -> bytes:
    """The figure of a drawing that has one, as the content of a file; the same runs always give the same bytes."""
    assert drawing.figure is not None
    content = BytesIO()
    with rc_context({**style.RC, "svg.hashsalt": drawing.name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of a class's name in letters that the font has not
        nothing = {"png": ("Software",), "svg": ("Creator", "Date", "Format", "Type")}[format]
        drawing.figure.savefig(content, format=format, metadata={"Title": drawing.title} | dict.fromkeys(nothing))
    return content.getvalue()


def look_of(cell: FinishedCell, marker: str, points: int) -> dict[str, Any]:
    """Keywords of a line: its cell's colour, and about eight markers along it."""
    return {
        "color": cell.look.light,
        "marker": marker,
        "markersize": 4,
        "markevery": max(1, points // 8),
    }


def labels_of(cells: list[FinishedCell], by_depth: bool = False) -> list[tuple[str, str]]:
    """A label and a marker for each cell.

    Labels are the shortest that tell the cells apart: `56-layer` (if asked for), the net's name, the cell's name. The
    first net of a colour needs no marker; later ones have a marker of their own.
    """
    depths = [f"{cell.depth}-layer" for cell in cells]
    nets = [cell.summary.net for cell in cells]
    names = [cell.name for cell in cells]
    candidates = [depths, nets, names] if by_depth and all(cell.depth for cell in cells) else [nets, names]
    labels = next(labels for labels in candidates if len(set(labels)) == len(cells))
    kinds = [(cell.look.light, cell.plain) for cell in cells]
    markers = [style.MARKERS[kinds[:i].count(kind) % len(style.MARKERS)] for i, kind in enumerate(kinds)]
    return list(zip(labels, markers, strict=True))


def colours(cells: Iterable[FinishedCell]) -> str:
    """What colours say, for the end of a caption's clause: `; darker is deeper`, or nothing where it is not that."""
    return "; darker is deeper" if all(cell.look == of_net(cell.summary.net_config) for cell in cells) else ""
