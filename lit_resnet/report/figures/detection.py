"""What detectors find: precision over recall of each class, and test images with true boxes and found ones."""

import io
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from lit_resnet.errors import InputError
from lit_resnet.report.figures.drawing import Drawn, labels_of
from lit_resnet.report.figures.sweep import foremost
from lit_resnet.report.looks import PALETTE
from lit_resnet.report.runs import FinishedCell, FinishedRun
from lit_resnet.runfolder.examples import NAME, SCORE, Box, Example
from lit_resnet.runfolder.precision import RECALLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 9  # with a panel each
MOST_NETS = 4  # whose classes, or whose images, are drawn
MOST_IMAGES = 4  # side by side
COLUMNS = 3  # of panels
MOST_BOXES = 60  # in an image
CROWDED = 8  # boxes in an image, from which on the legend alone says the class
LONGEST = 14  # letters of a class in an image
HEIGHT = 200  # of an image, in pixels
INCHES = 9.4  # of all images of a row
FLAT, TALL = 2.0, 0.5  # widths of an image over its height, beyond which it has a margin
HALO = "#ffffff"  # around a true box
MOST_NUMBERS = 6  # of nets, in a panel
RASTER = 30  # classes, from which on their lines are one image in an SVG file
# Of classes, well apart for colour-blind eyes, too (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#000000")


def precision_recall(cells: Sequence[FinishedCell]) -> Drawn:
    """Precision over recall: a panel for each class; of many classes their mean, and a panel of all for each net."""
    drawn = [cell for cell in foremost(cells) if _curves(cell)]
    if not drawn:
        return None, "No finished run has a precision.csv: it is of detectors."
    curves = {cell.name: _curves(cell) for cell in drawn}
    classes = list(dict.fromkeys(name for found in curves.values() for name in found))
    labels = {cell.name: label for cell, (label, _) in zip(drawn, labels_of(drawn), strict=True)}
    few = len(classes) <= MOST_CLASSES
    titles = classes if few else ["mean over the classes", *(labels[cell.name] for cell in drawn[:MOST_NETS])]
    columns = min(COLUMNS, len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(0.8 + 2.8 * columns, 0.6 + 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(titles) :]:
        ax.set_axis_off()
    panels = list(zip(axes.flat, titles, strict=False))
    for ax, title in panels:
        ax.set_title(title, parse_math=False, pad=18)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel("precision")
    for ax, _ in panels[-columns:]:
        ax.set_xlabel("recall")
    if few:
        for ax, title in panels:
            _nets(ax, drawn, [curves[cell.name].get(title) for cell in drawn], labels)
    else:
        _nets(panels[0][0], drawn, [_mean(list(curves[cell.name].values())) for cell in drawn], labels)
        for (ax, _), cell in zip(panels[1:], drawn, strict=False):
            _all_classes(ax, cell, curves[cell.name])
    if len(drawn) > 1:
        handles = [Line2D([], [], label=labels[cell.name], **_look(cell)) for cell in drawn]
        for text in figure.legend(handles=handles, loc="outside lower center", ncols=3).get_texts():
            text.set_parse_math(False)
    caption = (
        "Precision over recall of the last models on the test images, where a box is right from an IoU of 0.5 on: the "
        "highest precision at that recall or a greater one. Numbers are the areas below the lines, in percent, in the "
        "order of the nets"
    )
    if any(len(cell.runs) > 1 for cell in drawn):
        caption += "; lines are means over the seeds"
    if not few:
        caption += (
            f". First the mean over the {len(classes)} classes; then for each net all classes (thin) and their mean, "
            "with the best and the worst class named"
        )
    return figure, f"{caption}."


def _curves(cell: FinishedCell) -> dict[str, np.ndarray]:
    """The precisions of each class, means over the runs that have them."""
    found = [run.precision for run in cell.runs]
    names = dict.fromkeys(name for one in found for name in one)
    return {name: _mean([np.array(one[name]) for one in found if name in one]) for name in names}


def _mean(curves: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(curves).mean(0)


def _look(cell: FinishedCell, width: float = 1.6) -> dict[str, Any]:
    """Keywords of a line; matplotlib counts a dash in widths of the line."""
    dash = tuple(length / width for length in cell.look.dash)
    return {"color": cell.look.light, "linestyle": (0, dash) if dash else "-", "linewidth": width}


def _nets(ax: "Axes", cells: list[FinishedCell], curves: list[np.ndarray | None], labels: dict[str, str]) -> None:
    """A line for each net, and its area in its colour in a row above the panel, where no line can cross it."""
    for i, (cell, curve) in enumerate(zip(cells, curves, strict=True)):
        if curve is not None:
            ax.plot(RECALLS, curve, label=labels[cell.name], **_look(cell))
        if len(cells) > MOST_NUMBERS:
            continue
        text = "–" if curve is None else f"{100 * curve.mean():.1f}"
        ax.text(
            (i + 0.5) / len(cells),
            1.03,
            text,
            color=cell.look.light,
            fontsize=8.5,
            fontweight="bold",
            ha="center",
            transform=ax.transAxes,
        )


def _all_classes(ax: "Axes", cell: FinishedCell, curves: dict[str, np.ndarray]) -> None:
    for curve in curves.values():
        ax.plot(RECALLS, curve, color="#b0b0b0", linewidth=0.6, rasterized=len(curves) > RASTER)
    ordered = sorted(curves, key=lambda name: float(curves[name].mean()))
    for name, colour in ((ordered[-1], PALETTE[2][0]), (ordered[0], PALETTE[1][0])):
        words = f"{_short(name)} {100 * curves[name].mean():.1f}"
        ax.plot(RECALLS, curves[name], color=colour, linewidth=1.1, label=words)
    mean = _mean(list(curves.values()))
    ax.plot(RECALLS, mean, label=f"mean {100 * mean.mean():.1f}", **_look(cell, 2.0))
    for text in ax.legend(loc="lower left", fontsize=7.5).get_texts():
        text.set_parse_math(False)


@dataclass(frozen=True)
class _Shown:
    """A net, the run whose images are shown, and these by their names."""

    label: str
    run: FinishedRun
    examples: dict[str, Example]


def detections(cells: Sequence[FinishedCell]) -> Drawn:
    """Test images with their true boxes, and below them those that the first run of each net has found."""
    known = [cell for cell in foremost(cells) if cell.runs[0].examples]
    if not known:
        return None, "No finished run has kept examples: they are of detectors."
    labels = [label for label, _ in labels_of(known)]
    shown = [
        _Shown(label, cell.runs[0], {example.name: example for example in cell.runs[0].examples})
        for label, cell in zip(labels, known, strict=True)
    ][:MOST_NETS]
    names = _chosen(shown)
    truth = [next((net.run, net.examples[name]) for net in shown if name in net.examples) for name in names]
    pictures = [_picture(run, example) for run, example in truth]
    classes = _classes(shown, names)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(classes)}
    legend = len(classes) <= len(COLOURS)

    widths = [min(FLAT, max(TALL, picture.shape[1] / picture.shape[0])) for picture in pictures]
    height = INCHES / max(sum(widths), MOST_IMAGES)
    size = (0.4 + height * sum(widths), 0.7 + 1.04 * height * (1 + len(shown)))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1 + len(shown), len(names), squeeze=False, width_ratios=widths)
    for ax in axes.flat:
        ax.set_axis_off()
    for row, words in zip(axes, ["truth", *(net.label for net in shown)], strict=True):
        row[0].text(
            -0.03, 0.5, words, transform=row[0].transAxes, rotation=90, ha="right", va="center", parse_math=False
        )
    for i, (name, picture, (_, example)) in enumerate(zip(names, pictures, truth, strict=True)):
        axes[0][i].set_title(_short(name, 24), fontsize=8, parse_math=False)
        _image(axes[0][i], picture, example)
        for true in example.truth[:MOST_BOXES]:
            words = "" if legend else _short(true.label)
            _true_box(axes[0][i], true.box, colours[true.label], words, true.ignored)
        for row, net in zip(axes[1:], shown, strict=True):
            if name not in net.examples:
                row[i].text(0.5, 0.5, "not kept", ha="center", va="center", transform=row[i].transAxes, color="#888888")
                continue
            _image(row[i], picture, example)
            found = [one for one in net.examples[name].found if one.score >= SCORE][:MOST_BOXES]
            for one in reversed(found):  # the best on top
                score = f"{100 * one.score:.0f}"
                words = score if legend and len(found) > CROWDED else f"{_short(one.label)} {score}"
                _box(row[i], one.box, colours[one.label], words)
    if legend:
        handles = [Line2D([], [], color=colours[name], linewidth=2.5, label=_short(name, 24)) for name in classes]
        for text in figure.legend(handles=handles, loc="outside lower center", ncols=4).get_texts():
            text.set_parse_math(False)
    caption = (
        "Test images with their true boxes (top; dashed: neither right nor wrong to find), and below what the first "
        f"run of each net has found in them: boxes with a score of {100 * SCORE:g} % or more, which stands beside"
    )
    if len(known) > len(shown):
        caption += f"; of the {len(shown)} best nets among {len(known)}"
    return figure, f"{caption}. Colours are classes."


def _chosen(shown: list[_Shown]) -> list[str]:
    """The images to show: those that most nets have, in the order of the first one."""
    counts = Counter(name for net in shown for name in net.examples)
    return sorted(counts, key=lambda name: -counts[name])[:MOST_IMAGES]


def _classes(shown: list[_Shown], names: list[str]) -> list[str]:
    """The classes in these images, of truth and findings, by name."""
    examples = [net.examples[name] for net in shown for name in names if name in net.examples]
    true = {true.label for example in examples for true in example.truth}
    return sorted(true | {one.label for example in examples for one in example.found if one.score >= SCORE})


def _picture(run: FinishedRun, example: Example) -> np.ndarray:
    """The pixels of an example, at most `HEIGHT` high: uint8 [H, W, 3].

    Raises:
        InputError: It is no JPEG of the size that is said.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(io.BytesIO(example.jpeg), formats=("JPEG",))
            if image.size != (example.width, example.height):
                raise ValueError(f"{image.width}x{image.height} pixels, and not {example.width}x{example.height}")
            image = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{run.folder.path / NAME}: the image of {example.name} is damaged ({reason}); remove the folder "
            f"{(run.folder.path / NAME).parent}: the run is whole without it"
        ) from None
    if image.height > HEIGHT:
        image = image.resize((max(1, round(example.width * HEIGHT / example.height)), HEIGHT))
    return np.asarray(image)


def _image(ax: "Axes", picture: np.ndarray, example: Example) -> None:
    """The picture, with the coordinates of its boxes."""
    ax.imshow(picture, extent=(0, example.width, example.height, 0), interpolation="none")
    ax.set(xlim=(0, example.width), ylim=(example.height, 0))


def _true_box(ax: "Axes", box: Box, colour: str, words: str, ignored: bool) -> None:
    x1, y1, x2, y2 = box
    dash = (0, (3, 2)) if ignored else "-"
    ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, edgecolor=HALO, linewidth=2.6, linestyle=dash, fill=False))
    _box(ax, box, colour, words, dash)


def _box(ax: "Axes", box: Box, colour: str, words: str, dash: Any = "-") -> None:
    """A box, and words at its upper left corner."""
    x1, y1, x2, y2 = box
    ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, edgecolor=colour, linewidth=1.3, linestyle=dash, fill=False))
    light = sum(w * c for w, c in zip((0.3, 0.59, 0.11), to_rgb(colour), strict=True)) > 0.5
    if words:
        ax.text(
            max(x1, 0),
            max(y1, 0),
            words,
            fontsize=4.5,
            color="black" if light else "white",
            va="top",
            clip_on=True,
            parse_math=False,
            bbox={"facecolor": colour, "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )


def _short(name: str, most: int = LONGEST) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
