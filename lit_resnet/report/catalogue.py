"""Every net of the paper: parameters and multiply-adds, counted from the modules, beside the paper's numbers."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from lit_resnet import paper
from lit_resnet.errors import InputError
from lit_resnet.files import write_whole
from lit_resnet.listing import Columns, Row, count
from lit_resnet.nets import NetConfig
from lit_resnet.probes.anatomy import Anatomy, anatomy_of
from lit_resnet.probes.complexity import complexity_of

TITLE = "Nets of the paper (FLOPs: multiply-adds of convolutions and fc layers, one image)"
NOTE = (
    "A number agrees if it is the paper's when rounded to the printed digits, or if cut off there, as the column says "
    "then. The paper's FLOPs of VGG-16 leave the fc layers out; those of VGG-19, and ours, include them."
)
IMAGE = {"cifar": (3, 32, 32), "imagenet": (3, 224, 224), "vgg": (3, 224, 224)}


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
    for depth in (16, 19):
        yield NetConfig(family="vgg", depth=depth, shortcut="none", num_classes=1000)


def papers(family: Literal["cifar", "imagenet", "vgg"], depth: int, shortcut: str = "none") -> Anatomy:
    """The anatomy of a net as in the paper: its classes, the size of its images."""
    config = NetConfig(family, depth, shortcut, num_classes=10 if family == "cifar" else 1000)
    return anatomy_of(config, IMAGE[family])


def rows() -> list[Row]:
    """A row for each net; `agrees` is None where the paper prints no number of it, otherwise whether all are ours.

    `cut_off`: whether one of these numbers is ours only if cut off, not rounded.
    """
    return [_row(config) for config in configs()]


def write(folder: Path) -> list[Path]:
    """Write Table 1 (table1.md, .csv and .tex) and Fig. 3 (fig3.png and .svg), read from the nets' modules.

    Raises:
        InputError: `folder` is not there and cannot be made.
    """
    from lit_resnet.report.figures.drawing import render
    from lit_resnet.report.figures.fig3 import fig3
    from lit_resnet.report.tables.table1 import table1

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give a folder, or a path at which to make one") from None
    table = table1([papers("imagenet", depth, "B" if depth >= 50 else "A") for depth in (18, 34, 50, 101, 152)])
    drawing = fig3(
        {
            "VGG-19": papers("vgg", 19),
            "34-layer plain": papers("imagenet", 34),
            "34-layer residual": papers("imagenet", 34, "A"),
        }
    )
    contents: dict[str, str | bytes] = {
        "table1.md": table.markdown(),
        "table1.csv": table.csv(),
        "table1.tex": table.latex(),
        "fig3.png": render(drawing, "png"),
        "fig3.svg": render(drawing, "svg"),
    }
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


def _row(config: NetConfig) -> Row:
    counted = complexity_of(config, IMAGE[config.family])
    printed = paper.of(asdict(config))
    checks = [(counted.params / 1e6, printed.params), (counted.macs / 1e9, printed.gflops)]
    found = [paper.agreement(ours, theirs) for ours, theirs in checks if theirs is not None]
    return {
        "net": str(config),
        "family": config.family,
        "depth": config.depth,
        "shortcut": config.shortcut,
        "stride_on": config.stride_on,
        "params": counted.params,
        "macs": counted.macs,
        "paper_gflops": printed.gflops,
        "paper_params_millions": printed.params,
        "agrees": all(found) if found else None,
        "cut_off": "cut off" in found,
    }


COLUMNS: Columns = {
    "net": lambda r: r["net"],
    "family": lambda r: r["family"],
    "layers": lambda r: str(r["depth"]),
    "parameters": lambda r: count(r["params"]),
    "paper": lambda r: "–" if r["paper_params_millions"] is None else f"{r['paper_params_millions']} M",
    "GFLOPs": lambda r: f"{r['macs'] / 1e9:.3f}" if r["macs"] >= 1e9 else f"{r['macs'] / 1e9:.5f}",
    "paper ": lambda r: "–" if r["paper_gflops"] is None else str(r["paper_gflops"]),
    "agrees": lambda r: {True: "cut off" if r["cut_off"] else "yes", False: "no", None: "–"}[r["agrees"]],
}
