"""The anatomy of a net, its layers and the shortcuts around them: read from what its modules do, not from its config.

Table 1 and Fig. 3 are made from it, so that a net that lacks a block or a shortcut, or has a stride in the wrong place,
looks wrong there.
"""

import copy
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Literal

import torch
from torch import fx, nn
from torch.nn.modules.utils import _pair

from lit_resnet.nets import NetConfig, build
from lit_resnet.probes import traced

Factor = Literal["", "constant", "gate", "dropout"]


@dataclass(frozen=True)
class Layer:
    """A layer of a net.

    Args:
        kind: What it is; `fc` is fully connected.
        kernel: Height and width of its window; 1x1 for `fc`, the whole map for `avg pool`.
        width: Channels of its output.
        stride: How far the window moves; 1 for `fc`.
        map: Height and width of its output; 1x1 for `fc`.
        params: Its parameters, including those of the BN before and after it.
        macs: Its multiply-adds for one image; none of a pool.
        followed_by: What its output passes through before the next layer, by torch's names: `BatchNorm2d`, `ReLU`.
        preceded_by: What its input passes through first and a shortcut beside it does not: the same in a net with
            pre-activation.
    """

    kind: Literal["conv", "max pool", "avg pool", "fc"]
    kernel: tuple[int, int]
    width: int
    stride: int
    map: tuple[int, int]
    params: int
    macs: int = 0
    followed_by: tuple[str, ...] = ()
    preceded_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shortcut:
    """A shortcut: the output of one layer is added to the output of a later one (Fig. 2).

    Args:
        start: Index of the earlier layer among the net's layers; -1 for the image.
        end: Index of the later layer.
        kind: `identity`; `zero-padding` of the missing channels (option A); `projection` by a 1x1 convolution.
        stride: How many times smaller the map is at the end.
        params: Parameters of the projection, including its BN, and of the gate.
        macs: Multiply-adds of the projection and of the gate for one image.
        factor: What the shortcut is multiplied by before the addition: a `constant`; a `gate`, the sigmoid of a
            convolution; that of `dropout`. Empty where it is added as it is.
    """

    start: int
    end: int
    kind: Literal["identity", "zero-padding", "projection"]
    stride: int
    params: int
    macs: int = 0
    factor: Factor = ""


@dataclass(frozen=True)
class Anatomy:
    """A net's layers and shortcuts, in the order in which they end. Plain values.

    Projections and gates are among the shortcuts, not among the layers.
    """

    layers: tuple[Layer, ...]
    shortcuts: tuple[Shortcut, ...]

    @property
    def depth(self) -> int:
        """The number of weighted layers, by which the paper names its nets."""
        return sum(layer.kind in ("conv", "fc") for layer in self.layers)

    @property
    def params(self) -> int:
        """Parameters of all layers and shortcuts."""
        return sum(part.params for part in (*self.layers, *self.shortcuts))

    @property
    def macs(self) -> int:
        """Multiply-adds of all layers and shortcuts for one image: without BN and additions, as the paper's FLOPs."""
        return sum(part.macs for part in (*self.layers, *self.shortcuts))


def anatomy(net: nn.Module, image_shape: tuple[int, int, int]) -> Anatomy:
    """Read `net`, whose layers are modules, along the forward pass of an image of shape (C, H, W) in evaluation mode.

    Raises:
        ValueError: Two paths meet, but not at the end of a shortcut as in Sec. 3.3; the message says where.
    """
    return _read(copy.deepcopy(net).to("meta"), image_shape)


@cache
def anatomy_of(config: NetConfig, image_shape: tuple[int, int, int]) -> Anatomy:
    """Read the net of a config, once per process, without drawing its weights."""
    with torch.device("meta"):
        net = build(config)
    return _read(net, image_shape)


def _read(net: nn.Module, image_shape: tuple[int, int, int]) -> Anatomy:
    graph = traced.module(net.eval(), (1, *image_shape), device=torch.device("meta"))
    reading = _Reading()
    for node in graph.graph.nodes:
        reading.follow(node, traced.called(graph, node))
    places = {node: place for place, node in enumerate(reading.layers)}
    shortcuts = [replace(s, start=places.get(start, -1), end=places[end]) for start, end, s in reading.finished()]
    return Anatomy(tuple(reading.layers.values()), tuple(shortcuts))


@dataclass(frozen=True)
class _Value:
    """What is known of a value in the graph.

    Args:
        source: The layer that made it, or the image.
        split: Whether several things take it, or what it was made from since its source: what one of them does first
            is no part of that layer.
        padded: Whether channels of zeros were added to it.
        opened: Whether it is the output of a sigmoid, or one minus that: what a gate multiplies by.
        passed: The modules that it has passed since it was split.
        factor: What it was multiplied by.
        gates: The convolutions of the gates that it was multiplied by.
    """

    source: fx.Node
    split: bool = False
    padded: bool = False
    opened: bool = False
    passed: tuple[nn.Module, ...] = ()
    factor: Factor = ""
    gates: frozenset[fx.Node] = frozenset()


class _Reading:
    """What has been read of a net so far. Layers are identified by their nodes in the graph; so is the image."""

    def __init__(self) -> None:
        self.layers: dict[fx.Node, Layer] = {}
        self.before: dict[fx.Node, fx.Node] = {}  # for each layer and projection, the layer whose output it takes
        self.shortcuts: list[tuple[fx.Node, fx.Node, Shortcut]] = []
        self.values: dict[fx.Node, _Value] = {}
        self.owned: set[nn.Module] = set()  # modules after a split whose parameters have been counted
        self.gates: dict[fx.Node, Layer] = {}  # by their convolutions; those of gates whose product was not added yet

    def follow(self, node: fx.Node, module: nn.Module | None) -> None:
        """Take in the next node of the graph, which calls `module` or a function."""
        inputs = [value for value in node.all_input_nodes if value in self.values]
        if node.op == "placeholder":
            value = _Value(node)
        elif len(inputs) > 1:
            value = self._meeting(node, inputs)
        elif inputs and (layer := _layer(node, inputs[0], module)):
            first = self.values[inputs[0]]
            names = tuple(type(one).__name__ for one in first.passed)
            params = layer.params + self._owned(first.passed)
            self.layers[node] = replace(layer, params=params, preceded_by=names)
            self.before[node] = first.source
            value = _Value(node)
        elif inputs:
            value = self._passing(node, inputs[0], module)
        else:
            return
        self.values[node] = replace(value, split=value.split or sum("shape" in user.meta for user in node.users) > 1)

    def finished(self) -> list[tuple[fx.Node, fx.Node, Shortcut]]:
        """The shortcuts, when all nodes have been followed.

        Raises:
            ValueError: A gate belongs to no shortcut.
        """
        if self.gates:
            raise ValueError(f"{next(iter(self.gates))}: the gate that it opens belongs to no shortcut")
        return self.shortcuts

    def _passing(self, node: fx.Node, taken: fx.Node, module: nn.Module | None) -> _Value:
        """Pass BN, ReLU and other operations whose output still counts as the output of the layer before."""
        value = self.values[taken]
        does = traced.does(node, module)
        if module and not isinstance(module, nn.Identity):
            if value.split:
                value = replace(value, passed=(*value.passed, module))
            elif layer := self.layers.get(value.source):
                names = (*layer.followed_by, type(module).__name__)
                self.layers[value.source] = replace(layer, params=layer.params + _params(module), followed_by=names)
        factor: Factor = "dropout" if does == "dropout" else "constant" if does == "multiply" else value.factor
        return replace(
            value,
            padded=value.padded or does == "pad",
            opened=does == "sigmoid" or (value.opened and does == "subtract"),
            factor=factor,
        )

    def _meeting(self, node: fx.Node, taken: list[fx.Node]) -> _Value:
        """Two paths meet: at the end of a shortcut, or where a gate multiplies one of them.

        Raises:
            ValueError: Neither is the case.
        """
        values = [self.values[value] for value in taken]
        does = traced.does(node, None)
        if does == "multiply":
            for value, other in (values, values[::-1]):
                if other.opened and not value.opened:
                    return self._gated(value, other)
            raise ValueError(
                f"{node}: paths meet there and are multiplied, and neither is the sigmoid of a convolution"
            )
        if does != "add":
            raise ValueError(f"{node}: paths meet there, and are neither added nor multiplied")
        return self._addition(node, values)

    def _gated(self, value: _Value, opening: _Value) -> _Value:
        """A path behind a gate: the gate's convolution is no layer of the net any more."""
        if opening.source not in self.gates:
            beside = self.before.get(opening.source) in self._back(value.source)
            if not beside or self.layers[opening.source].kind != "conv":
                raise ValueError(f"{opening.source}: no gate of one convolution beside the path that it multiplies")
            self.gates[opening.source] = self.layers.pop(opening.source)
        return replace(value, factor="gate", gates=value.gates | {opening.source})

    def _addition(self, node: fx.Node, values: list[_Value]) -> _Value:
        """End a shortcut: it is the path with fewer layers, or with the smaller kernel if both have one layer."""
        paths = [self._back(value.source) for value in values]
        start = next(layer for layer in paths[0] if layer in paths[1])
        branches = [path[: path.index(start)] for path in paths]
        sizes = [(len(branch), [self.layers[layer].kernel for layer in branch]) for branch in branches]
        short, long = (values[0], values[1]) if sizes[0] < sizes[1] else (values[1], values[0])
        stride = _map(start)[0] // _map(long.source)[0]
        match [self.layers.pop(layer) for layer in branches[values.index(short)]]:
            case []:
                shortcut = Shortcut(0, 0, "zero-padding" if short.padded else "identity", stride, 0)
            case [Layer("conv", (1, 1)) as projection]:
                shortcut = Shortcut(0, 0, "projection", stride, projection.params, projection.macs)
            case _:
                raise ValueError(f"{node}: neither path that is added there is a shortcut of the paper (Sec. 3.3)")
        gates = [self.gates.pop(gate) for gate in short.gates | long.gates if gate in self.gates]
        params, macs = (
            self._owned((*short.passed, *long.passed)) + sum(gate.params for gate in gates),
            sum(gate.macs for gate in gates),
        )
        shortcut = replace(shortcut, params=shortcut.params + params, macs=shortcut.macs + macs, factor=short.factor)
        self.shortcuts.append((start, long.source, shortcut))
        return _Value(long.source)

    def _owned(self, passed: tuple[nn.Module, ...]) -> int:
        """The parameters of modules that a value has passed, as far as nothing else that takes it owns them already."""
        fresh = set(passed) - self.owned
        self.owned |= fresh
        return sum(map(_params, fresh))

    def _back(self, source: fx.Node) -> list[fx.Node]:
        """The layers from `source` back to the image, and last the image."""
        path = [source]
        while path[-1] in self.before:
            path.append(self.before[path[-1]])
        return path


def _layer(node: fx.Node, value: fx.Node, module: nn.Module | None) -> Layer | None:
    """The layer for a `module` that `node` calls on `value`; None if the module is not a layer."""
    before, after = _map(value), _map(node)
    macs = 0
    if isinstance(module, nn.Conv2d):
        kind, kernel, stride = "conv", _two(module.kernel_size), module.stride
        macs = module.weight.numel() * prod(after)
    elif isinstance(module, nn.MaxPool2d):
        kind, kernel, stride = "max pool", _two(module.kernel_size), _two(module.stride)
    elif isinstance(module, nn.AdaptiveAvgPool2d) and before != after:  # VGG's does nothing at 224x224
        kind, kernel, stride = "avg pool", before, before
    elif isinstance(module, nn.Linear):
        kind, kernel, stride = "fc", (1, 1), (1, 1)
        macs = module.weight.numel()
    else:
        return None
    return Layer(kind, kernel, traced.shape(node)[1], stride[0], after, _params(module), macs)


def _two(size: int | tuple[int, ...]) -> tuple[int, int]:
    height, width = _pair(size)
    return height, width


def _map(node: fx.Node) -> tuple[int, int]:
    height, width = traced.shape(node)[2:] or (1, 1)
    return height, width


def _params(module: nn.Module | None) -> int:
    return sum(p.numel() for p in module.parameters()) if module else 0
