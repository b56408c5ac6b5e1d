"""Every net of the paper: parameters and multiply-adds, counted from the modules, beside the paper's numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import torch

from lit_resnet import paper
from lit_resnet.errors import InputError, did_you_mean, shown
from lit_resnet.files import parse_yaml, write_whole
from lit_resnet.listing import Columns, Row, count
from lit_resnet.nets import NetConfig, build
from lit_resnet.nets.orders import ORDERS
from lit_resnet.probes.anatomy import Anatomy, anatomy_of
from lit_resnet.probes.blocks import diagrams
from lit_resnet.probes.complexity import complexity_of
from lit_resnet.runfolder.diagrams import Diagram

if TYPE_CHECKING:
    from lit_resnet.report.figures.drawing import Drawing

TITLE = "Nets of the paper (FLOPs: multiply-adds of convolutions and fc layers, one image)"
NOTE = (
    "A number agrees if it is the paper's when rounded to the printed digits, or if cut off there, as the column says "
    "then. The paper's FLOPs of VGG-16 leave the fc layers out; those of VGG-19, and ours, include them."
)
IMAGE = {"cifar": (3, 32, 32), "imagenet": (3, 224, 224), "vgg": (3, 224, 224), "own": (3, 32, 32)}
# Pictures of blocks: of which nets each shows them, and what it is about.
SHEETS: dict[str, tuple[str, tuple[NetConfig, ...]]] = {
    "blocks-paper": (
        "Blocks of the paper, in the manner of Figs. 2 and 5",
        (
            NetConfig(family="imagenet", depth=34),
            NetConfig(family="imagenet", depth=50, shortcut="B"),
            NetConfig(block="single"),
            NetConfig(shortcut="none"),
            NetConfig(shortcut="B"),
            NetConfig(shortcut="C"),
        ),
    ),
    "blocks-shortcuts": (
        "Shortcuts that are not identities, in the manner of Fig. 2 of the sequel",
        (
            NetConfig(),
            NetConfig(gate="scale"),
            NetConfig(gate="half"),
            NetConfig(gate="exclusive"),
            NetConfig(gate="shortcut"),
            NetConfig(shortcut="C"),
            NetConfig(gate="dropout"),
            NetConfig(block="highway"),
        ),
    ),
    "blocks-orders": (
        "Orders of activation, in the manner of Fig. 4 of the sequel",
        tuple(NetConfig(order=order) for order in ORDERS),
    ),
    "blocks-bottlenecks": (
        "Bottlenecks in CIFAR nets, as the sequel has them",
        tuple(NetConfig(depth=164, shortcut="B", block="bottleneck", order=order) for order in ("paper", "full")),
    ),
}


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
    """Write Table 1 (table1.md, .csv, .tex), Fig. 3 (fig3.png, .svg) and pictures of blocks, read from modules.

    Raises:
        InputError: `folder` is not there and cannot be made.
    """
    from lit_resnet.report.figures.fig3 import fig3
    from lit_resnet.report.tables.table1 import table1

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
    }
    return _written(folder, contents, [drawing, *(_sheet(name, *sheet) for name, sheet in SHEETS.items())])


def write_blocks(folder: Path, config: NetConfig) -> list[Path]:
    """Write a picture of a net's blocks, blocks.png and blocks.svg.

    Raises:
        InputError: It has no blocks, they cannot be read, or `folder` cannot be made.
    """
    return _written(folder, {}, [_sheet("blocks", f"Blocks of {config}", (config,))])


# What to write for a key of `model.net`, by its type; else a name.
WANTED = {
    int: "a whole number",
    float | None: "a number",
    dict[str, Any]: "its keys one by one, such as own_args.width=16",
}


def net_of(words: Sequence[str]) -> NetConfig:
    """The net of which `words` say keys of `model.net`, such as `depth=164` and `own_args.width=16`.

    Raises:
        InputError: A word is no KEY=VALUE, or there is no such key or net.
    """
    kinds = get_type_hints(NetConfig)
    values: dict[str, Any] = {}
    said: set[str] = set()
    for word in words:
        path, sign, text = word.partition("=")
        key, dot, name = path.partition(".")
        if not sign:
            raise InputError(f"--blocks {shown(word)}: write KEY=VALUE with a key of model.net, such as depth=56")
        if key not in kinds:
            raise InputError(f"--blocks {shown(word)}: model.net has no such key{did_you_mean(key, kinds)}")
        if path in said:
            raise InputError(f"--blocks {shown(word)}: {path} is said twice; write it once")
        said.add(path)
        value = parse_yaml(text, f"--blocks {path}")
        if dot and kinds[key] == dict[str, Any]:
            value = values.get(key, {}) | {name: value}
        elif dot or not _fits(value, kinds[key]):
            wanted = WANTED.get(kinds[key], "a name")
            raise InputError(f"--blocks {shown(word)}: {key} cannot be this; write {wanted}")
        values[key] = value
    try:
        return NetConfig(**values)
    except ValueError as error:
        raise InputError(f"--blocks: {error}") from None


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of YAML is of that type; of which literal, the net's config says."""
    if get_origin(kind) is UnionType:
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return isinstance(value, str)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is (get_origin(kind) or kind)


def block_rows(config: NetConfig) -> list[Row]:
    """A row for each step of each kind of block of a net.

    Raises:
        InputError: It has no blocks, or they cannot be read.
    """
    return [
        {
            "block": number,
            "count": diagram.count,
            "step": place,
            "does": step.words,
            "takes": ", ".join(map(str, step.takes)),
        }
        for number, diagram in enumerate(_diagrams(config), start=1)
        for place, step in enumerate(diagram.steps)
    ]


@cache
def _diagrams(config: NetConfig) -> tuple[Diagram, ...]:
    with torch.device("meta"):
        net = build(config)
    found = diagrams(net, (config.in_channels, *IMAGE[config.family][1:]))
    if not found:
        raise InputError(f"{config}: has no blocks: nothing is added anywhere, and none of its modules is a Block")
    return found


def _sheet(name: str, title: str, configs: Sequence[NetConfig]) -> "Drawing":
    """A picture of every kind of block in some nets; one that several of them have is drawn for the first."""
    from matplotlib import rc_context

    from lit_resnet.report.figures import style
    from lit_resnet.report.figures.blocks import Panel, sheet
    from lit_resnet.report.figures.drawing import Drawing

    panels: dict[Any, Panel] = {}
    for config in configs:
        found = _diagrams(config)
        of = sum(diagram.count for diagram in found)
        for diagram in found:
            panels.setdefault(diagram.structure, Panel(str(config), f"{diagram.count} of {of} blocks", diagram))
    with rc_context(style.RC):
        return Drawing(name, title, "", sheet(list(panels.values())))


def _written(folder: Path, contents: dict[str, str | bytes], drawings: "Sequence[Drawing]") -> list[Path]:
    """Write files and drawings, the latter as PNG and SVG.

    Raises:
        InputError: `folder` is not there and cannot be made.
    """
    from lit_resnet.report.figures.drawing import render

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give a folder, or a path at which to make one") from None
    for drawing in drawings:
        contents |= {f"{drawing.name}.png": render(drawing, "png"), f"{drawing.name}.svg": render(drawing, "svg")}
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
BLOCK_COLUMNS: Columns = {
    "block": lambda r: str(r["block"]),
    "of this kind": lambda r: str(r["count"]),
    "step": lambda r: str(r["step"]),
    "does": lambda r: r["does"],
    "takes": lambda r: r["takes"],
}
