"""The paper's sentences about its nets, each as a check of the nets' anatomies, in the order of printed.yaml.

A check is given the sentence's entry there, which has the paper's numbers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import torch

from lit_resnet import paper
from lit_resnet.nets import NetConfig, ResNet, build
from lit_resnet.probes.anatomy import Anatomy, Layer, Shortcut
from lit_resnet.probes.construction import construct
from lit_resnet.report.catalogue import papers

SIMILAR = 0.1  # by how much numbers that the paper calls similar may differ, of the larger one; it gives no limit
SAME_LOGITS = 1e-5  # of the largest; sums of 32-bit floats are this exact
OPTIONS = ("A", "B", "C")

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Whether a sentence holds, and the numbers that say so, in a line."""

    holds: bool
    evidence: str


def _deeper_than_vgg(entry: Entry) -> Found:
    ours, vgg = papers("imagenet", 152, "B"), papers("vgg", 19)
    times = ours.depth / vgg.depth
    return Found(
        paper.agreement(times, entry["value"]) is not None and ours.macs < vgg.macs,
        f"{ours.depth} / {vgg.depth} = {times:.1f}; {_billions(ours)} against {_billions(vgg)} billion multiply-adds",
    )


def _contains_shallower(entry: Entry) -> Found:
    pairs, apart = [], []
    for family, (few, many) in entry["depths"].items():
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            shallow, deep = (build(NetConfig(family, depth, "none")).eval() for depth in (few, many))
            assert isinstance(shallow, ResNet)
            assert isinstance(deep, ResNet)
            construct(shallow, deep)
            images = torch.randn(2, 3, 64, 64)
            logits, same = shallow(images), deep(images)
        pairs.append(f"{many} layers made of {few}")
        apart.append(((logits - same).abs().max() / logits.abs().max()).item())
    holds = max(apart) < SAME_LOGITS
    how = f"the same logits, up to {SAME_LOGITS:g} of the largest" if holds else f"logits apart by {max(apart):.2g}"
    return Found(holds, f"{_listed(pairs)}, with random weights: {how}")


def _twins_alike(entry: Entry) -> Found:
    twins = [
        (papers(family, depth), papers(family, depth, "A"))
        for family, depths in entry["depths"].items()
        for depth in depths
    ]
    unlike = [
        plain.depth
        for plain, residual in twins
        if (plain.layers, plain.params, plain.macs) != (residual.layers, residual.params, residual.macs)
    ]
    if unlike:
        return Found(False, f"{_listed(unlike)} layers: not alike")
    nets = [plain for plain, _ in twins]
    largest = max(nets, key=lambda net: net.params)
    size = f"{largest.params:,} parameters and {largest.macs:,} multiply-adds"
    return Found(True, f"{_listed(net.depth for net in nets)} layers; both of {largest.depth} layers have {size}")


def _filters_double(entry: Entry) -> Found:
    holds, said = True, []
    for family, depths in entry["depths"].items():
        nets = [papers(family, depth) for depth in depths]
        layers = [layer for net in nets for layer in net.layers[1:] if layer.kind == "conv"]
        stages = sorted({(layer.map[0], layer.width) for layer in layers}, reverse=True)
        costs = {layer.macs * layer.stride for layer in layers}  # half the channels enter a layer of stride 2
        holds &= len(costs) == 1 and all((a, 2 * x) == (2 * b, y) for (a, x), (b, y) in pairwise(stages))
        cost = _listed(f"{cost / 1e6:.2f}" for cost in sorted(costs))
        maps, filters = zip(*stages, strict=True)
        said.append(
            f"{_listed(filters)} filters on maps of {_listed(maps)} pixels, {cost} million multiply-adds a layer"
        )
    return Found(holds, f"{'; '.join(said)}; half of it where the stride is 2")


def _strided_convolutions(entry: Entry) -> Found:
    nets = _nets()
    return _in_all(nets, [net for net in nets if not _is_strided(net)])


def _is_strided(net: Anatomy) -> bool:
    *body, pool, fc = net.layers
    kinds = [layer.kind for layer in body if layer.kind != "conv"]
    return kinds in ([], ["max pool"]) and (pool.kind, pool.map, fc.kind) == ("avg pool", (1, 1), "fc")


def _fewer_filters_than_vgg(entry: Entry) -> Found:
    ours, vgg = papers("imagenet", 34), papers("vgg", 19)
    ours_on, vgg_on = _filters(ours, max), _filters(vgg, min)
    maps = [size for size in ours_on if size in vgg_on]
    total = [sum(layer.width for layer in _convolutions(net)) for net in (ours, vgg)]
    return Found(
        all(ours_on[size] < vgg_on[size] for size in maps),
        f"{_listed(ours_on[size] for size in maps)} on maps of {_listed(maps)} pixels, against "
        f"{_listed(vgg_on[size] for size in maps)}; in all layers together {total[0]:,} against {total[1]:,}",
    )


def _fraction_of_vgg(entry: Entry) -> Found:
    ours, vgg = papers("imagenet", 34), papers("vgg", 19)
    percent = 100 * ours.macs / vgg.macs
    how = paper.agreement(percent, entry["value"])
    cut_off = ", cut off" if how == "cut off" else ""
    return Found(how is not None, f"{_billions(ours)} / {_billions(vgg)} billion = {percent:.1f} %{cut_off}")


def _shortcut_around_each_pair(entry: Entry) -> Found:
    nets = [papers("imagenet", depth, "A") for depth in (18, 34)]
    said = [f"{len(net.shortcuts)} shortcuts around {len(_convolutions(net)) - 1} layers" for net in nets]
    return Found(all(map(_is_around_pairs, nets)), _listed(said))


def _is_around_pairs(net: Anatomy) -> bool:
    around = [layer for layers, _ in _blocks(net) for layer in layers]
    pairs = all([layer.kernel for layer in layers] == [(3, 3), (3, 3)] for layers, _ in _blocks(net))
    return pairs and around == _convolutions(net)[1:]


def _dotted_shortcuts(entry: Entry) -> Found:
    holds, said = True, []
    for option, kind in (("A", "zero-padding"), ("B", "projection")):
        net = papers("imagenet", 34, option)
        for shortcut in net.shortcuts:
            increase = net.layers[shortcut.end].width > net.layers[shortcut.start].width
            holds &= (shortcut.kind, shortcut.stride) == ((kind, 2) if increase else ("identity", 1))
        said.append(f"{option}: {sum(s.kind == kind for s in net.shortcuts)} of {len(net.shortcuts)} by {kind}")
    return Found(holds, ", ".join(said))


def _normalized_without_dropout(entry: Entry) -> Found:
    nets = _nets()
    return _in_all(
        nets,
        [
            net
            for net in nets
            if any("Dropout" in layer.followed_by for layer in net.layers)
            or any(layer.followed_by[:1] != ("BatchNorm2d",) for layer in _convolutions(net))
        ],
    )


def _more_projections(entry: Entry) -> Found:
    b, c = (papers("imagenet", 34, option) for option in "BC")
    b_has, c_has = (sum(shortcut.kind == "projection" for shortcut in net.shortcuts) for net in (b, c))
    return Found(
        c_has - b_has == entry["value"] and b.params < c.params,
        f"{c_has} - {b_has} projections = {c_has - b_has}; {_millions(c)} against {_millions(b)} million parameters",
    )


def _projections_cost(entry: Entry) -> Found:
    plain = papers("imagenet", 34)
    nets = [papers("imagenet", 34, option) for option in OPTIONS]
    params, macs = [net.params for net in nets], [net.macs for net in nets]
    return Found(
        (params[0], macs[0]) == (plain.params, plain.macs)
        and all(a < b for x in (params, macs) for a, b in pairwise(x)),
        f"plain, A, B and C: {_millions(plain, *nets)} million parameters, "
        f"{_billions(plain, *nets)} billion multiply-adds",
    )


def _blocks_cost_alike(entry: Entry) -> Found:
    blocks = [_of_figure_5(depth, option)[0] for depth, option in ((34, "A"), (50, "B"))]
    costs = [sum(layer.macs // prod(layer.map) for layer in layers) for layers in blocks]
    apart = 1 - min(costs) / max(costs)
    return Found(
        apart <= SIMILAR and [layers[-1].width for layers in blocks] == entry["filters"],
        f"{_listed(f'{cost:,}' for cost in costs)} at each position of the map, {100 * apart:.1f} % apart",
    )


def _projection_doubles_bottleneck(entry: Entry) -> Found:
    holds, said = True, []
    for what in ("params", "macs"):
        identity, projection = (_cost(*_of_figure_5(50, option), what) for option in "BC")
        holds &= paper.agreement(projection / identity, entry["value"]) is not None
        said.append(f"{projection:,} / {identity:,} = {projection / identity:.2f}")
    return Found(holds, "parameters {}; multiply-adds {}".format(*said))


def _of_figure_5(depth: int, option: str) -> tuple[tuple[Layer, ...], Shortcut]:
    """The second block on maps of 56x56 pixels, whose input and output have the same dimensions."""
    return _blocks(papers("imagenet", depth, option))[1]


def _cost(layers: tuple[Layer, ...], shortcut: Shortcut, what: str) -> int:
    return sum(getattr(part, what) for part in (*layers, shortcut))


def _bottlenecks_for_pairs(entry: Entry) -> Found:
    pairs, bottlenecks = papers("imagenet", 34, "A"), papers("imagenet", 50, "B")
    maps, kernels = zip(*(_maps_and_kernels(net) for net in (pairs, bottlenecks)), strict=True)
    where = "the same maps" if maps[0] == maps[1] else "other maps"
    return Found(
        maps[0] == maps[1] and kernels == ({(3, 3)}, {(1, 3, 1)}) and bottlenecks.depth == entry["value"],
        f"{len(maps[1])} bottlenecks, {len(maps[0])} pairs, on {where}: {bottlenecks.depth} layers for {pairs.depth}",
    )


def _maps_and_kernels(net: Anatomy) -> tuple[list[tuple[int, int]], set[tuple[int, ...]]]:
    blocks = [layers for layers, _ in _blocks(net)]
    return [layers[-1].map for layers in blocks], {tuple(layer.kernel[0] for layer in layers) for layers in blocks}


def _multiply_adds(entry: Entry) -> Found:
    nets = [(row["net"], _net(row), row["gflops"]) for row in _rows("table1")]
    left_out = entry["without_fc"]
    return _beside_the_papers(
        ((name, (_without_fc(net) if name == left_out else net).macs / 1e9, printed) for name, net, printed in nets),
        "billions",
    )


def _cheaper_than_vgg(entry: Entry) -> Found:
    ours = [papers("imagenet", depth, "B") for depth in (50, 101, 152)]
    vgg = [papers("vgg", depth) for depth in (16, 19)]
    least = [_without_fc(net) for net in vgg]
    return Found(
        max(net.macs for net in ours) < min(net.macs for net in least),
        f"{_billions(*ours)} against {_billions(*vgg)} billion, or {_billions(*least)} without fully connected layers",
    )


def _cifar_layers(entry: Entry) -> Found:
    wrong, depths = [], []
    for n in entry["n"]:
        depth = entry["value"] * n + entry["more"]
        net = papers("cifar", depth, "A")
        depths.append(net.depth)
        of_a_stage = entry["value"] // len(entry["maps"]) * n
        wanted = [
            (size, width)
            for i, (size, width) in enumerate(zip(entry["maps"], entry["filters"], strict=True))
            for _ in range(of_a_stage + (i == 0))
        ]
        if net.depth != depth or [(layer.map[0], layer.width) for layer in _convolutions(net)] != wanted:
            wrong.append(n)
    others = f"; other ones for n = {_listed(wrong)}" if wrong else ""
    return Found(
        not wrong and depths == [row["depth"] for row in _rows("table6")],
        f"n = {_listed(entry['n'])}: {_listed(depths)} layers{others}",
    )


def _cifar_shortcuts(entry: Entry) -> Found:
    nets = [_net(row) for row in _rows("table6")]
    counts = [len(net.shortcuts) for net in nets]
    params = sum(shortcut.params for net in nets for shortcut in net.shortcuts)
    return Found(
        counts == [entry["value"] * n for n in entry["n"]] and not params,
        f"n = {_listed(entry['n'])}: {_listed(counts)} shortcuts, {params:,} parameters in them",
    )


def _cifar_parameters(entry: Entry) -> Found:
    return _beside_the_papers(
        ((row["net"], _net(row).params / 1e6, row["params"]) for row in _rows("table6")), "millions"
    )


def _fewer_parameters(entry: Entry) -> Found:
    ours = papers("cifar", 110, "A").params / 1e6
    others = [row for row in paper.load()["table6"]["rows"] if row["net"] in entry["than"]]
    against = _listed(f"{row['params']} of {row['net']}-{row['layers']}" for row in others)
    return Found(all(ours < row["params"] for row in others), f"{ours:.2f} million against {against}")


def _gates_add_parameters(entry: Entry) -> Found:
    depth = entry["depth"]
    usual = params_of(depth=depth)
    without = [params_of(depth=depth, gate=gate) for gate in ("scale", "half", "dropout")]
    exclusive, only, convolved = (
        params_of(depth=depth, **net) for net in ({"gate": "exclusive"}, {"gate": "shortcut"}, {"shortcut": "C"})
    )
    return Found(
        set(without) == {usual} and exclusive == only > usual and convolved > usual,
        f"{usual:,} with identities, {_listed(f'{one:,}' for one in dict.fromkeys(without))} scaled or with dropout; "
        f"{_listed(f'{one:,}' for one in dict.fromkeys((exclusive, only)))} with gates, {exclusive - usual:,} more; "
        f"{convolved:,} with convolutions, {convolved - usual:,} more",
    )


def _resnet_164_parameters(entry: Entry) -> Found:
    original, full = (
        params_of(depth=164, shortcut="B", block="bottleneck", order=order) for order in ("paper", "full")
    )
    return Found(
        all(paper.agreement(params / 1e6, entry["value"]) == "rounded" for params in (original, full)),
        f"{original:,} in the original order, {full:,} with pre-activation",
    )


def params_of(**net: Any) -> int:
    """The parameters of a CIFAR net of this config, its gates' too."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in build(NetConfig(**net)).parameters())


# By the sentences' keys in printed.yaml.
CHECKS: dict[str, Callable[[Entry], Found]] = {
    "deeper_than_vgg": _deeper_than_vgg,
    "contains_shallower": _contains_shallower,
    "twins_alike": _twins_alike,
    "filters_double": _filters_double,
    "strided_convolutions": _strided_convolutions,
    "fewer_filters_than_vgg": _fewer_filters_than_vgg,
    "fraction_of_vgg": _fraction_of_vgg,
    "shortcut_around_each_pair": _shortcut_around_each_pair,
    "dotted_shortcuts": _dotted_shortcuts,
    "normalized_without_dropout": _normalized_without_dropout,
    "more_projections": _more_projections,
    "projections_cost": _projections_cost,
    "blocks_cost_alike": _blocks_cost_alike,
    "projection_doubles_bottleneck": _projection_doubles_bottleneck,
    "bottlenecks_for_pairs": _bottlenecks_for_pairs,
    "multiply_adds": _multiply_adds,
    "cheaper_than_vgg": _cheaper_than_vgg,
    "cifar_layers": _cifar_layers,
    "cifar_shortcuts": _cifar_shortcuts,
    "cifar_parameters": _cifar_parameters,
    "fewer_parameters": _fewer_parameters,
    "gates_add_parameters": _gates_add_parameters,
    "resnet_164_parameters": _resnet_164_parameters,
}


# -- nets, and numbers in words


def _rows(table: str) -> list[dict[str, Any]]:
    """The rows of a table of the paper whose nets are trained here, each with its family."""
    printed = paper.load()[table]
    return [{"family": printed["family"], **row} for row in printed["rows"] if "depth" in row]


def _net(row: Mapping[str, Any]) -> Anatomy:
    return papers(row["family"], row["depth"], row["shortcut"])


def _nets() -> list[Anatomy]:
    """Plain and residual nets of Tables 1 and 6."""
    return [_net(row) for row in _rows("table1") + _rows("table6") if row["family"] != "vgg"]


def _blocks(net: Anatomy) -> list[tuple[tuple[Layer, ...], Shortcut]]:
    """For each shortcut, the layers that it goes around, and the shortcut."""
    return [(net.layers[shortcut.start + 1 : shortcut.end + 1], shortcut) for shortcut in net.shortcuts]


def _convolutions(net: Anatomy) -> list[Layer]:
    """Its convolutions, without projections."""
    return [layer for layer in net.layers if layer.kind == "conv"]


def _filters(net: Anatomy, which: Callable[[Iterable[int]], int]) -> dict[int, int]:
    """The largest or smallest number of filters of its convolutions, for each size of their maps in pixels."""
    sizes = dict.fromkeys(layer.map[0] for layer in _convolutions(net))
    return {size: which(layer.width for layer in _convolutions(net) if layer.map[0] == size) for size in sizes}


def _without_fc(net: Anatomy) -> Anatomy:
    return Anatomy(tuple(layer for layer in net.layers if layer.kind != "fc"), net.shortcuts)


def _in_all(nets: list[Anatomy], others: list[Anatomy]) -> Found:
    """Whether something is so in all nets: there are no others."""
    exceptions = f", but for {_listed(net.depth for net in others)} layers" if others else ""
    return Found(not others, f"in all {len(nets)} nets of Tables 1 and 6{exceptions}")


def _beside_the_papers(numbers: Iterable[tuple[str, float, float]], unit: str) -> Found:
    """Names, our numbers and the printed ones: `billions, printed in brackets: VGG-19 19.63 (19.6)`."""
    holds, said = True, {}  # a dict as an ordered set: plain and residual nets may share a name and a number
    for name, ours, printed in numbers:
        how = paper.agreement(ours, printed)
        holds &= how is not None
        remark = {"rounded": "", "cut off": ", cut off", None: ", another number"}[how]
        said[f"{name} {ours:.{len(str(printed).partition('.')[2]) + 1}f} ({printed}{remark})"] = None
    return Found(holds, f"{unit}, printed in brackets: {', '.join(said)}")


def _listed(words: Iterable[object]) -> str:
    """`18, 34 and 50`."""
    *others, last = map(str, words)
    return f"{', '.join(others)} and {last}" if others else last


def _billions(*nets: Anatomy) -> str:
    """Multiply-adds: `3.86, 7.57 and 11.28`."""
    return _listed(f"{net.macs / 1e9:.2f}" for net in nets)


def _millions(*nets: Anatomy) -> str:
    """Parameters: `21.80 and 25.56`."""
    return _listed(f"{net.params / 1e6:.2f}" for net in nets)
