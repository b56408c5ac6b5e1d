"""The anatomy of a net, its layers and the shortcuts around them: read from what its modules do, not from its config.

Table 1 and Fig. 3 are made from it, so that a net that lacks a block or a shortcut, or has a stride in the wrong place,
looks wrong there.
"""

import copy
import operator
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any, Literal

import torch
from torch import fx, nn
from torch.fx.node import Target
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.modules.utils import _pair

from lit_resnet.nets import NetConfig, build


@dataclass(frozen=True)
class Layer:
    """A layer of a net.

    Args:
        kind: What it is; `fc` is fully connected.
        kernel: Height and width of its window; 1x1 for `fc`, the whole map for `avg pool`.
        width: Channels of its output.
        stride: How far the window moves; 1 for `fc`.
        map: Height and width of its output; 1x1 for `fc`.
        params: Its parameters, including those of the BN that follows.
        macs: Its multiply-adds for one image; none of a pool.
        followed_by: What its output passes through before the next layer, by torch's names: `BatchNorm2d`, `ReLU`.
    """

    kind: Literal["conv", "max pool", "avg pool", "fc"]
    kernel: tuple[int, int]
    width: int
    stride: int
    map: tuple[int, int]
    params: int
    macs: int = 0
    followed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shortcut:
    """A shortcut: the output of one layer is added to the output of a later one (Fig. 2).

    Args:
        start: Index of the earlier layer among the net's layers; -1 for the image.
        end: Index of the later layer.
        kind: `identity`; `zero-padding` of the missing channels (option A); `projection` by a 1x1 convolution.
        stride: How many times smaller the map is at the end.
        params: Parameters of the projection, including its BN.
        macs: Multiply-adds of the projection for one image.
    """

    start: int
    end: int
    kind: Literal["identity", "zero-padding", "projection"]
    stride: int
    params: int
    macs: int = 0


@dataclass(frozen=True)
class Anatomy:
    """A net's layers and shortcuts, in the order in which they end. Plain values.

    Projections are among the shortcuts, not among the layers.
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
    traced = fx.symbolic_trace(net.eval())
    _Shapes(traced).propagate(torch.zeros(1, *image_shape, device="meta"))
    reading = _Reading()
    for node in traced.graph.nodes:
        reading.follow(node, traced.get_submodule(node.target) if node.op == "call_module" else None)
    places = {node: place for place, node in enumerate(reading.layers)}
    shortcuts = [replace(s, start=places.get(start, -1), end=places[end]) for start, end, s in reading.shortcuts]
    return Anatomy(tuple(reading.layers.values()), tuple(shortcuts))


class _Shapes(ShapeProp):
    """The shape of every value. BN and ReLU keep it, and are skipped: on the meta device they take most of the time."""

    def call_module(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the module returns, or something of its shape."""
        module = self.module.get_submodule(str(target))
        return args[0] if isinstance(module, nn.BatchNorm2d | nn.ReLU) else super().call_module(target, args, kwargs)


class _Reading:
    """What has been read of a net so far. Layers are identified by their nodes in the graph; so is the image."""

    def __init__(self) -> None:
        self.layers: dict[fx.Node, Layer] = {}
        self.before: dict[fx.Node, fx.Node] = {}  # for each layer and projection, the layer whose output it takes
        self.shortcuts: list[tuple[fx.Node, fx.Node, Shortcut]] = []
        self.source: dict[fx.Node, fx.Node] = {}  # for each value, the layer that made it
        self.padded: set[fx.Node] = set()  # values with added channels of zeros

    def follow(self, node: fx.Node, module: nn.Module | None) -> None:
        """Take in the next node of the graph, which calls `module` or a function."""
        inputs = [value for value in node.all_input_nodes if value in self.source]
        if node.op == "placeholder":
            self.source[node] = node
        elif len(inputs) > 1:
            self.source[node] = self._addition(node, inputs)
        elif inputs and (layer := _layer(node, inputs[0], module)):
            self.layers[node], self.before[node], self.source[node] = layer, self.source[inputs[0]], node
        elif inputs:
            self.source[node] = self._passing(node, inputs[0], module)

    def _passing(self, node: fx.Node, value: fx.Node, module: nn.Module | None) -> fx.Node:
        """Pass BN, ReLU and other operations whose output still counts as the output of the layer before."""
        source = self.source[value]
        if source in self.layers and module and not isinstance(module, nn.Identity):
            layer = self.layers[source]
            names = (*layer.followed_by, type(module).__name__)
            self.layers[source] = replace(layer, params=layer.params + _params(module), followed_by=names)
        if value in self.padded or node.target is nn.functional.pad:
            self.padded.add(node)
        return source

    def _addition(self, node: fx.Node, values: list[fx.Node]) -> fx.Node:
        """End a shortcut: it is the path with fewer layers, or with the smaller kernel if both have one layer."""
        if node.target not in (operator.add, operator.iadd, torch.add):
            raise ValueError(f"{node}: paths meet there, and are not added")
        paths = [self._back(value) for value in values]
        start = next(layer for layer in paths[0] if layer in paths[1])
        branches = [path[: path.index(start)] for path in paths]
        sizes = [(len(branch), [self.layers[layer].kernel for layer in branch]) for branch in branches]
        short, long = (0, 1) if sizes[0] < sizes[1] else (1, 0)
        end = self.source[values[long]]
        stride = _map(start)[0] // _map(end)[0]
        match [self.layers.pop(layer) for layer in branches[short]]:
            case []:
                shortcut = Shortcut(0, 0, "zero-padding" if values[short] in self.padded else "identity", stride, 0)
            case [Layer("conv", (1, 1)) as projection]:
                shortcut = Shortcut(0, 0, "projection", stride, projection.params, projection.macs)
            case _:
                raise ValueError(f"{node}: neither path that is added there is a shortcut of the paper (Sec. 3.3)")
        self.shortcuts.append((start, end, shortcut))
        return end

    def _back(self, value: fx.Node) -> list[fx.Node]:
        """The layers from `value` back to the image, and last the image."""
        path = [self.source[value]]
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
    return Layer(kind, kernel, node.meta["tensor_meta"].shape[1], stride[0], after, _params(module), macs)


def _two(size: int | tuple[int, ...]) -> tuple[int, int]:
    height, width = _pair(size)
    return height, width


def _map(node: fx.Node) -> tuple[int, int]:
    return tuple(node.meta["tensor_meta"].shape[2:]) or (1, 1)


def _params(module: nn.Module | None) -> int:
    return sum(p.numel() for p in module.parameters()) if module else 0
