"""A figure with its words, and how its lines tell the nets apart."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.figure import Figure

from lit_resnet.report.figures import style
from lit_resnet.report.runs import Cell


@dataclass(frozen=True)
class Drawing:
    """A figure and its words. With nothing to draw, `figure` is None and the caption says what is missing."""

    name: str
    title: str
    caption: str
    figure: Figure | None


def render(drawing: Drawing, format: Literal["png", "svg"]) -> bytes:
    """The drawn figure as a file's content; the same bytes whenever it is drawn from the same runs."""
    content = BytesIO()
    with rc_context({**style.RC, "svg.hashsalt": drawing.name}):
        nothing = {"png": ("Software",), "svg": ("Creator", "Date", "Format", "Type")}[format]
        drawing.figure.savefig(content, format=format, metadata=dict.fromkeys(nothing))
    return content.getvalue()


def look_of(cell: Cell, marker: str, points: int) -> dict[str, Any]:
    """Colour by depth; about eight markers along the line."""
    return {
        "color": style.colour(cell.depth),
        "marker": marker,
        "markersize": 4,
        "markevery": max(1, points // 8),
    }


def labels_of(cells: list[Cell], by_depth: bool = False) -> list[tuple[str, str]]:
    """A label and a marker for each cell.

    Labels are the shortest that tell the cells apart: `56-layer` (if asked for), the net's name, the cell's name. The
    first net of a depth needs no marker; later ones have its colour, and a marker of their own.
    """
    depths = [f"{cell.depth}-layer" for cell in cells]
    nets = [cell.summary.net for cell in cells]
    names = [cell.name for cell in cells]
    candidates = [depths, nets, names] if by_depth else [nets, names]
    labels = next(labels for labels in candidates if len(set(labels)) == len(cells))
    kinds = [(cell.depth, cell.plain) for cell in cells]
    markers = [style.MARKERS[kinds[:i].count(kind) % len(style.MARKERS)] for i, kind in enumerate(kinds)]
    return list(zip(labels, markers, strict=True))
