"""Every net of the paper: parameters and multiply-adds, counted from the modules, beside the paper's figures."""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torchvision.models import vgg16, vgg19

from lit_resnet.listing import Columns, Row, count
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.complexity import complexity
from lit_resnet.report import paper

TITLE = "Nets of the paper (FLOPs: multiply-adds of convolutions and fc layers, one image)"
NOTE = "The paper's figure for VGG-16 leaves its fc layers out, that for VGG-19 has them in; ours have them in."
IMAGE = {"cifar": (3, 32, 32), "imagenet": (3, 224, 224)}


def configs() -> Iterator[NetConfig]:
    """Plain and residual nets of Sec. 4.2 and Table 1, all shortcut options, and the bottleneck nets' v1.5 too."""
    for depth in (20, 32, 44, 56, 110):
        for shortcut in ("none", "A", "B", "C"):
            yield NetConfig(depth=depth, shortcut=shortcut)
    yield NetConfig(depth=1202)
    for depth in (18, 34):
        for shortcut in ("none", "A", "B", "C"):
            yield NetConfig(family="imagenet", depth=depth, shortcut=shortcut, num_classes=1000)
    for depth in (50, 101, 152):
        yield NetConfig(family="imagenet", depth=depth, shortcut="none", num_classes=1000)
        for stride_on in ("1x1", "3x3"):
            yield NetConfig(family="imagenet", depth=depth, shortcut="B", stride_on=stride_on, num_classes=1000)


def rows() -> list[Row]:
    """A row for each net; `agrees` is whether every figure that the paper has for it is ours at its precision."""
    nets = []
    for config in configs():
        key = (config.family, config.depth, config.shortcut)
        printed = paper.params(*key), paper.gflops(*key, stride_on=config.stride_on)
        nets.append(_row(str(config), build(config), *key, config.stride_on, *printed))
    reference = {row["net"]: row["gflops"] for row in paper.load()["table1"]["rows"]}
    for name, make, layers in (("VGG-16", vgg16, 16), ("VGG-19", vgg19, 19)):
        with torch.device("meta"):
            net = make(weights=None)
        # Drawing its 138 M weights would take a second; whatever lies in the memory counts the same.
        nets.append(_row(name, net.to_empty(device="cpu"), "imagenet", layers, None, None, None, reference[name]))
    return nets


def _row(
    name: str,
    net: nn.Module,
    family: str,
    depth: int,
    shortcut: str | None,
    stride_on: str | None,
    paper_params: float | None,
    paper_gflops: float | None,
) -> Row:
    counted = complexity(net, IMAGE[family])
    checks = [(counted.params / 1e6, paper_params), (counted.macs / 1e9, paper_gflops)]
    verdicts = [agrees(ours, theirs) for ours, theirs in checks if theirs is not None]
    return {
        "net": name,
        "family": family,
        "depth": depth,
        "shortcut": shortcut,
        "stride_on": stride_on,
        "params": counted.params,
        "macs": counted.macs,
        "paper_gflops": paper_gflops,
        "paper_params_millions": paper_params,
        "agrees": all(verdicts) if verdicts else None,
    }


def agrees(ours: float, theirs: float) -> bool:
    """Whether the paper's figure is ours at its precision, rounded (7.570 -> 7.6) or cut off (3.858 -> 3.8)."""
    digits = len(str(theirs).partition(".")[2])
    return theirs in (round(ours, digits), math.floor(ours * 10**digits) / 10**digits)


COLUMNS: Columns = {
    "net": lambda r: r["net"],
    "family": lambda r: r["family"],
    "layers": lambda r: str(r["depth"]),
    "parameters": lambda r: count(r["params"]),
    "paper": lambda r: "–" if r["paper_params_millions"] is None else f"{r['paper_params_millions']} M",
    "GFLOPs": lambda r: f"{r['macs'] / 1e9:.3f}" if r["macs"] >= 1e9 else f"{r['macs'] / 1e9:.5f}",
    "paper ": lambda r: "–" if r["paper_gflops"] is None else str(r["paper_gflops"]),
    "agrees": lambda r: {True: "yes", False: "no", None: "–"}[r["agrees"]],
}
