"""Table 1: the architectures for ImageNet, their blocks counted from the nets' anatomies."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

from lit_resnet import paper
from lit_resnet.report.tables.table import NONE, Table

if TYPE_CHECKING:
    from lit_resnet.probes.anatomy import Anatomy, Layer

Map = tuple[int, int]
Unit = tuple["Layer", ...]  # the layers of a residual block, or one layer outside of blocks


def table1(nets: Sequence["Anatomy"]) -> Table:
    """A column for each net, rows for each size of the maps, and two rows of multiply-adds: ours and the paper's."""
    stages = [_stages(net) for net in nets]
    names = _names(stages)
    lines = []
    for size, name in names.items():
        cells = zip_longest(*(_cells(stage.get(size, [])) for stage in stages), fillvalue=NONE)
        lines += [(name, "{}x{}".format(*size), *line) for line in cells]
    heads = [f"{net.depth}-layer" for net in nets]
    printed = {row["net"]: row["gflops"] for row in paper.load()["table1"]["rows"]}
    lines.append(("GFLOPs", "", *(f"{net.macs / 1e9:.2f}" for net in nets)))
    lines.append(("paper", "", *(str(printed.get(head, NONE)) for head in heads)))
    header = ("layer", "output size", *heads)
    return Table(
        title="Architectures for ImageNet, in the manner of Table 1",
        header=header,
        rows=tuple(_named_once(lines)),
        text_columns=len(header),
        note=". ".join(
            [
                "Building blocks are in brackets, with the numbers of blocks stacked",
                *_downsampling(stages, names),
                "GFLOPs: 1e9 multiply-adds of the convolutions and the fully-connected layer for one image",
                *_cut_off({head: net.macs / 1e9 for head, net in zip(heads, nets, strict=True)}, printed),
            ]
        )
        + ".",
        records=tuple(dict(zip(header, (" ".join(cell.split()) for cell in line), strict=True)) for line in lines),
    )


def _stages(net: "Anatomy") -> dict[Map, list[Unit]]:
    """The net's units by the size of their output map."""
    ends = {shortcut.start + 1: shortcut.end + 1 for shortcut in net.shortcuts}
    stages: dict[Map, list[Unit]] = defaultdict(list)
    place = 0
    while place < len(net.layers):
        end = ends.get(place, place + 1)
        stages[net.layers[end - 1].map].append(net.layers[place:end])
        place = end
    return stages


def _names(stages: Sequence[dict[Map, list[Unit]]]) -> dict[Map, str]:
    """The paper's names of the stages: conv1, conv2_x and so on; the classifier has none."""
    sizes = sorted(set().union(*stages), reverse=True)
    names = {}
    for i, size in enumerate(sizes, start=1):
        several = any(len(stage.get(size, [])) > 1 for stage in stages)
        names[size] = "" if size == (1, 1) else f"conv{i}_x" if several else f"conv{i}"
    return names


def _cells(units: list[Unit]) -> list[str]:
    """The units in words; equal ones in a row share a cell."""
    counted = [(words, len(list(equal))) for words, equal in groupby(units, _words)]
    return [f"{words}\nx {times}" if times > 1 or "[" in words else words for words, times in counted]


def _words(unit: Unit) -> str:
    """`7x7, 64,\\nstride 2` for a layer; for a block `[1x1, 64;\\n3x3, 64;\\n1x1, 256]`, whose strides the note has."""
    layers = [
        {
            "conv": "{}x{}, {}".format(*layer.kernel, layer.width),
            "max pool": "{}x{} max pool".format(*layer.kernel),
            "avg pool": "average pool",
            "fc": f"{layer.width}-d fc",
        }[layer.kind]
        for layer in unit
    ]
    first, *others = unit
    if others:
        return "[" + ";\n".join(layers) + "]"
    strided = first.kind in ("conv", "max pool") and first.stride > 1
    return layers[0] + (f",\nstride {first.stride}" if strided else "")


def _downsampling(stages: Sequence[dict[Map, list[Unit]]], names: dict[Map, str]) -> list[str]:
    """Sentences about the strides in blocks: `Stride 2 is in layer 1 of conv3_1, conv4_1, conv5_1`."""
    places: dict[tuple[int, int], dict[str, None]] = defaultdict(dict)  # dicts as ordered sets of names
    for size, name in names.items():
        for stage in stages:
            blocks = [unit for unit in stage.get(size, []) if len(unit) > 1]
            for number, block in enumerate(blocks, start=1):
                for position, layer in enumerate(block, start=1):
                    if layer.stride > 1:
                        places[layer.stride, position][name.replace("x", str(number))] = None
    return [f"Stride {stride} is in layer {n} of {', '.join(found)}" for (stride, n), found in sorted(places.items())]


def _cut_off(ours: dict[str, float], printed: dict[str, float]) -> list[str]:
    """A sentence about the paper's GFLOPs that are not ours rounded; ours and printed ones by net."""
    found = [net for net in ours if net in printed and paper.agreement(ours[net], printed[net]) == "cut off"]
    return [f"The paper's number of {', '.join(found)} is cut off, not rounded"] if found else []


def _named_once(lines: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave the name and size of a stage on its first line only, as in the paper."""
    firsts = [line[:2] for line in lines]
    return [("", "", *line[2:]) if line[:2] in firsts[i - 1 : i] else line for i, line in enumerate(lines)]
