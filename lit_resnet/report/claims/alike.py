"""The nets of a grid, finished or not, in groups that were trained alike."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from lit_resnet import paper, sameness
from lit_resnet.errors import InputError, shown
from lit_resnet.nested import mapping_at, value_at
from lit_resnet.report.looks import FAMILIES
from lit_resnet.report.runs import FinishedCell, FinishedRun, GridRuns
from lit_resnet.runfolder.summary import Summary

# The keys of a net's config that the sentences are about, with the values of one that does not say them.
KIND = ("family", *sameness.KIND)
UNSAID = {**paper.USUAL, "gate_value": None}
# What a grid may say under them, where that is no name.
TYPES = {"depth": ((int,), "a whole number"), "gate_value": ((int, float, type(None)), "a number, or null")}
# Keys that the papers vary beside the net: the length of the training, and the data set; of detectors the sets, how
# these are judged, and the weights that each net starts from.
PAPERS = (
    *("trainer.max_steps", "model.rate.milestones", "data.source"),
    *("data.train", "data.test", "evaluate", "model.start"),
)
VGG = "vgg"  # the family of the nets that detectors are compared with
WARMED_UP = 110  # layers from which on the paper warms up (Sec. 4.2)


@dataclass(frozen=True)
class Net:
    """The net of a cell, with what the paper's sentences distinguish.

    Args:
        name: `plain-56`; its cell's name where the grid has several such nets, or where none of its runs is finished.
        family: `cifar`, `imagenet` or, of a detector, `vgg`.
        depth: Its layers.
        shortcut: `none`, `A`, `B` or `C`.
        block: `paper`, `single`, `bottleneck` or `highway`.
        gate: What multiplies shortcut and residual function, and with which number; `none` in the first paper.
        gate_value: The number; None without a gate.
        order: Of convolutions, BN and ReLU; `paper` in the first paper.
        warm: Whether it is trained with warm-up.
        decay_gates: Whether weight decay acts on the biases of its gates; nothing to a net without gates.
        runs: Its finished runs; there may be none yet.
    """

    name: str
    family: str
    depth: int
    shortcut: str
    block: str
    gate: str
    gate_value: float | None
    order: str
    warm: bool
    decay_gates: bool
    runs: tuple[FinishedRun, ...]

    @property
    def config(self) -> dict[str, Any]:
        """What its config says of it, as far as sentences distinguish that."""
        return {key: getattr(self, key) for key in KIND}

    def like(self, other: "Net", *but: str) -> bool:
        """Whether another net differs from it in nothing but these keys, and the weight decay of gates."""
        return all(getattr(self, key) == getattr(other, key) for key in (*KIND, "warm") if key not in but)


@dataclass(frozen=True)
class Group:
    """Nets of one family that were trained alike in all but depth, shortcut, block, gate, order and warm-up.

    Of detectors, VGG nets are among them.
    """

    nets: tuple[Net, ...]

    @property
    def family(self) -> str:
        """`cifar` or `imagenet`."""
        return next(net.family for net in self.nets if net.family in FAMILIES)

    @cached_property
    def of_the_paper(self) -> list[Net]:
        """Its nets, without VGG, whose blocks are as in the first paper: without gates, and in its order."""
        return [n for n in self.nets if n.family in FAMILIES and (n.gate, n.order) == ("none", paper.USUAL["order"])]

    @property
    def options(self) -> list[str]:
        """The shortcut options of its residual nets."""
        return sorted({net.shortcut for net in self.nets} - {"none"})

    def by_depth(self, shortcut: str, block: str = "paper") -> list[Net]:
        """Its nets of that kind from shallow to deep, one a depth, without gates and in the paper's order.

        Of one with warm-up and one without, it is the one that is trained as in the paper.
        """
        kind = [net for net in self.of_the_paper if (net.shortcut, net.block) == (shortcut, block)]
        kind.sort(key=lambda net: (net.depth, net.warm != (net.depth >= WARMED_UP), not net.runs))
        return [next(twins) for _, twins in groupby(kind, key=lambda net: net.depth)]

    @cached_property
    def _summary(self) -> Summary | None:
        """What one of its finished runs says, for what all were trained with alike."""
        return next((run.summary for net in self.nets for run in net.runs), None)

    @property
    def data(self) -> str:
        """The name of its data set; empty while no run is finished."""
        return self._summary.data if self._summary else ""

    @property
    def steps(self) -> int:
        """Iterations of its training; 0 while no run is finished."""
        return self._summary.steps if self._summary else 0

    @property
    def batch_size(self) -> int:
        """Images of an iteration; 0 while no run is finished."""
        return self._summary.batch_size if self._summary else 0

    @property
    def on_the_papers_data(self) -> bool:
        """Whether it was trained on CIFAR-10 or ImageNet, or on a folder of CIFAR-10."""
        names = {"cifar": r"cifar10|folder:.*cifar-?10(?!\d).*", "imagenet": "imagenet"}
        return re.fullmatch(names[self.family], self.data, re.IGNORECASE) is not None

    @property
    def times_the_papers_length(self) -> float:
        """Its iterations over those of the paper; 0 if it was trained on other data, or started from weights."""
        if not self.on_the_papers_data or (self._summary and self._summary.start):
            return 0.0
        table = {"cifar": "table6", "imagenet": "table2"}[self.family]
        return self.steps / paper.load()[table]["training"]["steps"]

    @property
    def as_in_the_paper(self) -> bool:
        """Whether it was trained on the paper's data for the paper's number of iterations."""
        return self.times_the_papers_length == 1


def about_the_paper(runs: GridRuns) -> bool:
    """Whether the plain and residual nets of the grid differ in nothing but what the paper varies itself.

    That is the net, its warm-up, the data set, and the length of the training; whether gates decay; of detectors also
    the sets and the weights that they start from. A grid over learning rates, say, is about these.
    """
    others = [axis for axis in runs.axes if not (axis.of_the_net or axis.free or axis.key in PAPERS)]
    names = [name for name, net in runs.nets.items() if net.get("family") != VGG]
    return all(len({axis.text(name) for name in names}) <= 1 for axis in others)


def groups(runs: GridRuns) -> list[Group]:
    """The grid's plain and residual nets in groups, in its order, with VGG nets that were trained like them.

    An unfinished net is in every group it may belong to. The net and the setting of a finished cell are those that its
    runs recorded. For an unfinished cell they are read from the grid: it may belong to the groups of all finished cells
    whose config there differs in the net's kind alone.

    Raises:
        InputError: The grid gives a net a depth that is no whole number.
    """
    configs = {cell.name: runs.grid.config(cell) for cell in runs.grid.cells}
    finished = {cell.name: cell for cell in runs.cells}
    unsaid = _unsaid(configs, finished)
    labels = {name: finished[name].summary.net if name in finished else name for name in configs}
    trained: dict[str, list[Net]] = defaultdict(list)  # by the setting that the runs recorded
    waiting: dict[str, list[Net]] = defaultdict(list)  # by the setting in the grid
    recorded: dict[str, list[str]] = defaultdict(list)  # by the setting in the grid: what finished cells recorded
    for name, config in configs.items():
        label = name if Counter(labels.values())[labels[name]] > 1 else labels[name]
        if name in finished and (net := _trained(label, finished[name])):
            trained[finished[name].summary.setting].append(net)
            recorded[_said(config, net)].append(finished[name].summary.setting)
        elif name not in finished and (net := _asked(label, config, unsaid, f"{runs.grid.name}: cell {name}")):
            waiting[_said(config, net)].append(net)
    for said, nets in waiting.items():
        for one in dict.fromkeys(recorded.get(said, [said])):
            trained[one] += nets
    return [Group(tuple(nets)) for nets in trained.values() if any(net.family in FAMILIES for net in nets)]


def _said(config: dict[str, Any], net: Net) -> str:
    """The setting of a cell in the grid, with the net's family, which the grid may leave out."""
    said = {**mapping_at(config, "model.net"), "family": net.family}
    return sameness.setting({**config, "model": {**mapping_at(config, "model"), "net": said}})


def _trained(label: str, cell: FinishedCell) -> Net | None:
    """The net of a finished cell; None where it is no net of the paper."""
    kind = {**UNSAID, **cell.summary.net_config}
    if kind.get("family") not in (*FAMILIES, VGG) or any(key not in kind for key in KIND):
        return None
    return _net(label, kind, cell.summary.warmup_lr is not None, cell.summary.config, cell.runs)


def _asked(label: str, config: dict[str, Any], unsaid: dict[str, Any], where: str) -> Net | None:
    """The net of a cell without a finished run, from the grid; None where it is no net of the paper."""
    kind = {**UNSAID, **unsaid, **mapping_at(config, "model.net")}
    for key in KIND:
        wanted, words = TYPES.get(key, ((str,), "a name"))
        if key in kind and type(kind[key]) not in wanted:
            raise InputError(f"{where}: model.net.{key} is {shown(kind[key])}: write {words}")
    if kind.get("own") or kind.get("family") not in (*FAMILIES, VGG) or any(key not in kind for key in KIND):
        return None
    return _net(label, kind, value_at(config, "model.rate.warmup_lr") is not None, config, ())


def _net(
    label: str, kind: dict[str, Any], warm: bool, config: dict[str, Any] | None, runs: tuple[FinishedRun, ...]
) -> Net:
    """The net of a cell from its config's `model.net` and from all of its config, which old summaries lack."""
    said: dict[str, Any] = {key: kind[key] for key in KIND} | {"gate_value": paper.gate_value(kind)}
    decay = value_at(config or {}, "model.sgd.decay_gates") is not False
    return Net(name=label, **said, warm=warm, decay_gates=decay, runs=runs)


def _unsaid(configs: dict[str, dict[str, Any]], finished: dict[str, FinishedCell]) -> dict[str, Any]:
    """The net's values of keys that a cell leaves out: those of finished runs whose cells left them out, too."""
    found = {}
    for name, cell in finished.items():
        silent = [key for key in KIND if value_at(configs[name], f"model.net.{key}") is None]
        found |= {key: cell.summary.net_config[key] for key in silent if key in cell.summary.net_config}
    return found
