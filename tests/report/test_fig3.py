"""Fig. 3 from anatomies: what is drawn, where, and that it is legible."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.anatomy import Anatomy, Layer, anatomy
from lit_resnet.report.figures.drawing import Drawing, render
from lit_resnet.report.figures.fig3 import fig3, words

NETS = {
    "VGG-19": NetConfig("vgg", 19, "none", num_classes=1000),
    "34-layer plain": NetConfig("imagenet", 34, "none", num_classes=1000),
    "34-layer residual": NetConfig("imagenet", 34, "A", num_classes=1000),
}


@pytest.fixture(scope="module")
def nets() -> dict[str, Anatomy]:
    with torch.device("meta"):
        modules = {name: build(config) for name, config in NETS.items()}
    return {name: anatomy(module, (3, 224, 224)) for name, module in modules.items()}


@pytest.fixture(scope="module")
def drawing(nets) -> Drawing:
    return fig3(nets)


def texts(drawing: Drawing) -> dict[str, list[tuple[float, float]]]:
    """Column and row of each text: of those with the same words, from left to right and from top to bottom."""
    (ax,) = drawing.figure.axes
    places = {}
    for text in ax.texts:
        x, y = text.get_position()
        places.setdefault(text.get_text(), []).append((x, round(y)))
    return {text: sorted(found) for text, found in places.items()}


def bent(drawing: Drawing) -> list[FancyArrowPatch]:
    """The shortcuts among the arrows: those between layers are straight."""
    arrows = [patch for patch in drawing.figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    return [arrow for arrow in arrows if len(arrow._path_original.vertices) > 2]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Layer("conv", (3, 3), 128, 2, (28, 28), 0), "3x3 conv, 128, /2"),
        (Layer("conv", (3, 3), 128, 1, (28, 28), 0), "3x3 conv, 128"),
        (Layer("max pool", (3, 3), 64, 2, (56, 56), 0), "pool, /2"),
        (Layer("avg pool", (7, 7), 512, 7, (1, 1), 0), "avg pool"),
        (Layer("fc", (1, 1), 1000, 1, (1, 1), 0), "fc 1000"),
    ],
)
def test_the_papers_words(layer, text):
    assert words(layer) == text


def test_every_layer_has_a_box(nets, drawing):
    boxes = [patch for patch in drawing.figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    layers = Counter(words(layer) for net in nets.values() for layer in net.layers)
    assert len(boxes) == layers.total()
    assert {text: len(places) for text, places in texts(drawing).items() if text in layers} == layers
    assert layers["3x3 conv, 256"] == 4 + 11 + 11


def test_maps_of_one_size_begin_at_one_height(drawing):
    found = texts(drawing)
    sizes = {text.split()[-1]: places[0][1] for text, places in found.items() if text.startswith("output")}
    assert list(sizes) == ["224", "112", "56", "28", "14", "7", "1"]
    pools = [y for _, y in found["pool, /2"]]
    assert pools == [*(sizes[size] for size in ("112", "56", "28", "14", "7")), sizes["56"], sizes["56"]]
    for size, width in (("28", 128), ("14", 256), ("7", 512)):
        assert [y for _, y in found[f"3x3 conv, {width}, /2"]] == [sizes[size]] * 2
    assert found["3x3 conv, 64"][0][1] == sizes["224"]
    assert [y for _, y in found["7x7 conv, 64, /2"]] == [sizes["112"]] * 2
    assert [y for _, y in found["avg pool"]] == [sizes["1"]] * 2
    assert found["fc 4096"][0][1] == sizes["1"]


def test_shortcuts_are_beside_the_residual_net_and_dotted_where_dimensions_increase(drawing):
    shortcuts = bent(drawing)
    column = texts(drawing)["34-layer residual"][0][0]
    assert {arrow._path_original.vertices[0][0] for arrow in shortcuts} == {column}
    dotted = [i for i, arrow in enumerate(shortcuts) if arrow.get_linestyle() != "-"]
    assert (len(shortcuts), dotted) == (16, [3, 7, 13])
    # The first starts below the pool and ends below the second layer.
    heights = [y for _, y in shortcuts[0]._path_original.vertices]
    pool = texts(drawing)["pool, /2"][-1][1]
    assert pool < heights[0] < pool + 1
    assert pool + 2 < heights[-1] < pool + 3
    legend = [text.get_text() for text in drawing.figure.axes[0].get_legend().get_texts()]
    assert legend == ["identity", "zero-padding, dimensions increase"]


def test_a_wrong_net_is_drawn_wrong(nets):
    net = nets["34-layer residual"]
    cut = replace(net, shortcuts=net.shortcuts[:5] + net.shortcuts[6:])
    assert len(bent(fig3({"cut": cut}))) == 15
    widened = replace(net, layers=(*net.layers[:5], replace(net.layers[5], width=96), *net.layers[6:]))
    assert len(texts(fig3({"widened": widened}))["3x3 conv, 96"]) == 1
    assert bent(fig3({"34-layer plain": nets["34-layer plain"]})) == []


def test_a_shortcut_times_something_has_a_colour_and_a_label_of_its_own(nets):
    net = nets["34-layer residual"]
    factors = ("gate", "constant", "dropout")
    changed = [replace(shortcut, factor=factor) for shortcut, factor in zip(net.shortcuts, factors, strict=False)]
    drawn = fig3({"changed": replace(net, shortcuts=(*changed, *net.shortcuts[3:]))})
    assert len({arrow.get_edgecolor() for arrow in bent(drawn)}) == 4
    legend = [text.get_text() for text in drawn.figure.axes[0].get_legend().get_texts()]
    assert legend[:3] == ["identity times a gate", "identity times a constant", "identity with dropout"]


def test_gflops_beside_the_papers(nets, drawing):
    found = texts(drawing)
    assert "19.63 GFLOPs (paper: 19.6)" in found
    assert len(found["3.64 GFLOPs (paper: 3.6)"]) == 2
    assert "3.64 GFLOPs" in texts(fig3({"a net": nets["34-layer plain"]}))  # which the paper does not know


def test_it_is_legible(drawing):
    figure = drawing.figure
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    extents = [text.get_window_extent() for text in ax.texts]
    inside = [text for text in extents if any(box.contains(*text.min) and box.contains(*text.max) for box in boxes)]
    assert len(inside) == len(boxes)
    assert not any(text.overlaps(box) for text in extents if text not in inside for box in boxes)
    everything = [
        *extents,
        ax.get_legend().get_window_extent(),
        *(arrow.get_window_extent() for arrow in bent(drawing)),
    ]
    assert all(figure.bbox.contains(*each.min) and figure.bbox.contains(*each.max) for each in everything)
    assert figure.get_figheight() > 1.5 * figure.get_figwidth()


def test_both_formats(drawing):
    png, svg = render(drawing, "png"), render(drawing, "svg").decode()
    assert png.startswith(b"\x89PNG")
    assert svg.count("3x3 conv, 512, /2") >= 2  # text is text
    assert svg == render(drawing, "svg").decode()


def test_drawing_needs_no_torch():
    code = "import sys, lit_resnet.report.figures.fig3, lit_resnet.report.tables.table1; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
