"""Like with like: the nets of a grid, finished or not, in groups that were trained alike."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lit_resnet import paper
from lit_resnet.errors import InputError
from lit_resnet.report.runs import GridRuns, Run

# The net of a grid that does not say it: the defaults of NetConfig, with which torch would come.
NET = {"family": "cifar", "depth": 20, "shortcut": "A", "block": "paper"}
# What may differ within a group, beside the net: speed, memory, what is written down, and the warm-up.
FREE = ("net", "rate", "speed", "signals_every")
FREE_OF_RATE = ("warmup_lr", "warmup_error", "warmup_window")
WARMED_UP = 110  # layers from which on the paper warms up (Sec. 4.2)


@dataclass(frozen=True)
class Net:
    """A cell of the grid as the paper's sentences see it.

    Args:
        name: `plain-56`; its cell's name where the grid has several such nets, or where none of its runs is finished.
        family: `cifar` or `imagenet`.
        depth: Its layers.
        shortcut: `none`, `A`, `B` or `C`.
        block: `paper` or `single`.
        warm: Whether it is trained with warm-up.
        runs: Its finished runs; there may be none yet.
    """

    name: str
    family: str
    depth: int
    shortcut: str
    block: str
    warm: bool
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Group:
    """Nets of one family that were trained alike in all but depth, shortcut, block and warm-up."""

    nets: tuple[Net, ...]

    @property
    def family(self) -> str:
        """`cifar` or `imagenet`."""
        return self.nets[0].family

    @property
    def options(self) -> list[str]:
        """The shortcut options of its residual nets."""
        return sorted({net.shortcut for net in self.nets} - {"none"})

    def by_depth(self, shortcut: str, block: str = "paper") -> list[Net]:
        """Its nets of that kind from shallow to deep; of one with and one without warm-up, the paper's way."""
        kind = [net for net in self.nets if (net.shortcut, net.block) == (shortcut, block)]
        kind.sort(key=lambda net: (net.depth, net.warm != (net.depth >= WARMED_UP), not net.runs))
        return [next(twins) for _, twins in groupby(kind, key=lambda net: net.depth)]

    @property
    def as_in_the_paper(self) -> bool:
        """Whether it was trained on CIFAR-10, or a folder of it, for the paper's 64,000 iterations."""
        summary = next((run.summary for net in self.nets for run in net.runs), None)
        if summary is None or summary["steps"] != paper.load()["table6"]["training"]["steps"]:
            return False
        return re.fullmatch(r"cifar10|folder:.*cifar-?10(?!\d).*", summary["data"], re.IGNORECASE) is not None


def groups(runs: GridRuns) -> list[Group]:
    """The grid's plain and residual nets in groups, in its order. An unfinished one is in every group it may belong to.

    Raises:
        InputError: The grid gives a net a depth that is no whole number.
    """
    finished = {cell.name: cell.runs for cell in runs.cells}
    configs = {cell.name: runs.grid.config(cell) for cell in runs.grid.cells}
    labels = {name: str(finished[name][0].summary["net"]) if name in finished else name for name in configs}
    trained: dict[str, dict[str, list[Net]]] = defaultdict(lambda: defaultdict(list))
    waiting: dict[str, list[Net]] = defaultdict(list)
    for name, config in configs.items():
        label = name if Counter(labels.values())[labels[name]] > 1 else labels[name]
        net = _net(label, config, finished.get(name, ()), f"{runs.grid.name}: cell {name}")
        if net and net.runs:
            trained[_setting(net, config)][_trained(net.runs[0])].append(net)
        elif net:
            waiting[_setting(net, config)].append(net)
    return [
        Group((*nets, *waiting[setting]))
        for setting in dict.fromkeys([*trained, *waiting])
        for nets in trained[setting].values() or [[]]
    ]


def _net(name: str, config: dict[str, Any], runs: tuple[Run, ...], where: str) -> Net | None:
    """The net of a cell: what its runs say that they trained, or else what the grid says; None for VGG."""
    model = _mapping(config.get("model"))
    asked = {**NET, "warmup_lr": _mapping(model.get("rate")).get("warmup_lr"), **_mapping(model.get("net"))}
    said = {"warmup_lr": None, **runs[0].summary} if runs else asked
    family, depth, shortcut, block = (said.get(key, asked[key]) for key in NET)
    if type(depth) is not int:
        raise InputError(f"{where}: model.net.depth is {depth!r}: write a whole number")
    return None if family == "vgg" else Net(name, family, depth, shortcut, block, said["warmup_lr"] is not None, runs)


def _trained(run: Run) -> str:
    """What a run says of its training."""
    return str([run.summary.get(key) for key in ("data", "steps", "batch_size", "precision")])


def _setting(net: Net, config: dict[str, Any]) -> str:
    """The family of a net, and what its config says of the training."""
    model, trainer = _mapping(config.get("model")), _mapping(config.get("trainer"))
    said = {
        "family": net.family,
        "data": config.get("data"),
        "model": {key: value for key, value in model.items() if key not in FREE},
        "rate": {key: value for key, value in _mapping(model.get("rate")).items() if key not in FREE_OF_RATE},
        "net": {key: value for key, value in _mapping(model.get("net")).items() if key not in NET},
        "trainer": [trainer.get(key) for key in ("max_steps", "precision")],
    }
    return json.dumps(said, sort_keys=True, default=str)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
