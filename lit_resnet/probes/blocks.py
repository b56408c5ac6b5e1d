"""The blocks of a net as they can be drawn (Figs. 2 and 5): read from what their modules do, not from the net's config.

A block that lacks its BN, or has a shortcut in the wrong place, is another diagram.
"""

import copy
import inspect
import operator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lit_resnet.errors import InputError, printable
from lit_resnet.nets import OwnNet
from lit_resnet.nets.blocks import Block
from lit_resnet.probes import traced
from lit_resnet.runfolder.diagrams import LONGEST, MOST_KINDS, MOST_STEPS, Diagram, Kind, Step

BATCH = 2  # images of the traced batch: BN asks for more than one
RELU = (F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_")
UNCHANGED = (nn.Identity, "contiguous", "clone", "detach")
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm, nn.LayerNorm)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def diagrams(net: nn.Module, image_shape: tuple[int, int, int]) -> tuple[Diagram, ...]:
    """The kinds of blocks in a net, in the order in which the first of each is called; none of a net without blocks.

    Blocks that differ in their widths alone are of one kind, and the first is shown. In a net without modules of the
    class `Block`, as somebody's own may be, a block is the module in whose forward pass a shortcut is added.

    Args:
        net: Stays as it is; may be on the meta device.
        image_shape: Channels, height and width of an image.

    Raises:
        InputError: Its forward pass depends on values, so that it cannot be traced, or is too long to be drawn.
    """
    net = copy.deepcopy(net.module if isinstance(net, OwnNet) else net).eval()
    modules = dict(net.named_modules())
    blocks = [name for name, module in modules.items() if isinstance(module, Block)] or _with_shortcuts(
        net, image_shape
    )
    found: dict[Any, list[Diagram]] = {}
    read: dict[str, Diagram] = {}  # a net has many blocks that are the same
    for name, shapes in _inputs(net, blocks, image_shape).items():
        block = modules[name].train()
        same = f"{type(block)} {block} {_values(block)} {shapes}"
        diagram = read[same] = read.get(same) or _diagram(block, _device(net), shapes)
        found.setdefault(diagram.structure, []).append(diagram)
    if len(found) > MOST_KINDS:
        raise InputError(
            f"{type(net).__name__}: has {len(found)} kinds of blocks, too many to draw: at most {MOST_KINDS}"
        )
    return tuple(Diagram(alike[0].steps, len(alike)) for alike in found.values())


def _with_shortcuts(net: nn.Module, image_shape: tuple[int, int, int]) -> list[str]:
    """The names of the modules in whose forward pass paths are added, without those inside others of them."""
    graph = _traced(net, _device(net), (BATCH, *image_shape))
    names = []
    for node in graph.graph.nodes:
        inputs = [value for value in node.all_input_nodes if _shape(value)]
        if len(inputs) > 1 and traced.does(node, traced.called(graph, node)) == "add":
            name = next(reversed(node.meta.get("nn_module_stack") or {}), "")
            names.append(name.partition("@")[0])  # `b@1` is the second call of b
    return [name for name in dict.fromkeys(names) if not any(_inside(name, other) for other in names)]


def _inside(name: str, other: str) -> bool:
    return name != other and (not other or name.startswith(f"{other}."))


def _inputs(net: nn.Module, blocks: list[str], image_shape: tuple[int, int, int]) -> dict[str, list[tuple[int, ...]]]:
    """By the names of these modules, the shapes of the tensors that each is called with, in the order of the calls.

    Of a module that is called twice, those of its first call.

    Raises:
        InputError: The net does not take such images.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str, module: nn.Module, args: tuple[Any, ...], said: dict[str, Any]) -> None:
        values = inspect.signature(module.forward).bind(*args, **said).arguments.values()
        shapes.setdefault(name, [tuple(value.shape) for value in values if isinstance(value, Tensor)])

    for name in blocks:
        net.get_submodule(name).register_forward_pre_hook(partial(note, name), with_kwargs=True)
    for module in net.modules():
        if isinstance(module, traced.KEEP_SHAPES):
            module.forward = nn.Identity().forward
    if blocks:
        try:
            with torch.no_grad():
                net(torch.zeros(BATCH, *image_shape, device=_device(net)))
        except Exception as error:  # of somebody's own code
            raise _untraceable(net, error) from None
    return shapes


def _values(block: nn.Module) -> dict[str, Any]:
    """The attributes of a block that are no modules, and those of the modules in it."""
    return {
        f"{at}.{name}": value
        for at, module in block.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str | list | tuple)
    }


def _device(net: nn.Module) -> torch.device:
    return next((weight.device for weight in net.parameters()), torch.device("cpu"))


def _traced(module: nn.Module, device: torch.device, *shapes: tuple[int, ...]) -> fx.GraphModule:
    """As `traced.module`.

    Raises:
        InputError: It cannot be traced.
    """
    try:
        with torch.no_grad():
            return traced.module(module, *shapes, device=device)
    except Exception as error:  # of somebody's own code
        raise _untraceable(module, error) from None


def _untraceable(module: nn.Module, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return InputError(
        f"{type(module).__name__}: its forward pass cannot be drawn, as torch.fx cannot follow it "
        f"({reason}): write it without branches on values"
    )


def _diagram(block: nn.Module, device: torch.device, shapes: list[tuple[int, ...]]) -> Diagram:
    """The steps of a block that is called with tensors of these shapes.

    Raises:
        InputError: It cannot be traced, or is too long to be drawn.
    """
    graph = _traced(block, device, *shapes)
    reading = _Reading(graph)
    for node in graph.graph.nodes:
        reading.follow(node)
    steps = reading.finished()
    name = type(block).__name__
    if not steps:
        raise InputError(f"{name}: its forward pass cannot be drawn: it does not return one tensor made from its input")
    if len(steps) > MOST_STEPS:
        raise InputError(f"{name}: its forward pass has {len(steps)} steps, too many to draw: at most {MOST_STEPS}")
    return Diagram(steps)


class _Reading:
    """The steps that have been read of a block's graph."""

    def __init__(self, graph: fx.GraphModule) -> None:
        self.graph = graph
        self.steps: dict[fx.Node, Step] = {}
        self.takes: dict[fx.Node, list[fx.Node]] = {}
        self.same: dict[fx.Node, fx.Node] = {}  # a value that is only handed on, and the step that made it
        self.output: fx.Node | None = None

    def follow(self, node: fx.Node) -> None:
        """Take in the next node of the graph."""
        inputs = [
            self.same.get(value, value) for value in node.all_input_nodes if value in self.steps or value in self.same
        ]
        if node.op == "output":
            (result,) = node.args
            self.output = self.same.get(result, result) if isinstance(result, fx.Node) else None
        elif not _shape(node) or (node.op != "placeholder" and not inputs):
            return  # a size, a weight
        elif self._handed_on(node, inputs):
            self.same[node] = inputs[0]
        else:
            module = traced.called(self.graph, node)
            if _subsampled_alone(node, inputs, self.steps):  # option A: it is one step to whoever draws it
                inputs = self.takes[inputs[0]]
            kind, does = _step(node, len(inputs), module)
            shrinks = kind in ("layer", "resize", "other") and does != "global avg pool"
            self.steps[node] = Step(kind, does[:LONGEST], _shape(node)[1], _stride(inputs, node) if shrinks else 1)
            self.takes[node] = inputs

    def finished(self) -> tuple[Step, ...]:
        """The steps that the output depends on; none where the output is no single tensor."""
        needed: set[fx.Node] = set()
        waiting = [self.output] if self.output in self.steps else []
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                waiting += self.takes[node]
        nodes = [node for node in self.steps if node in needed]
        places = {node: place for place, node in enumerate(nodes)}
        return tuple(replace(self.steps[node], takes=tuple(places[one] for one in self.takes[node])) for node in nodes)

    def _handed_on(self, node: fx.Node, inputs: list[fx.Node]) -> bool:
        """Whether its value is that of its only input."""
        module = traced.called(self.graph, node)
        target = type(module) if module else node.target
        unchanged = target in UNCHANGED or (
            target is operator.getitem and bool(inputs) and _shape(node) == _shape(inputs[0])
        )
        return unchanged and len(inputs) == 1


def _step(node: fx.Node, inputs: int, module: nn.Module | None) -> tuple[Kind, str]:
    """The kind of a node that takes so many values, and what it does in words."""
    if node.op == "placeholder":
        return "input", ""
    if isinstance(module, CONVOLUTIONS):
        each = module.groups == module.in_channels > 1
        groups = " depthwise" if each else f" in {module.groups} groups" if module.groups > 1 else ""
        return "layer", "x".join(map(str, module.kernel_size)) + groups
    if isinstance(module, nn.Linear):
        return "layer", "fc"
    if isinstance(module, NORMS):
        return "norm", "BN" if isinstance(module, nn.modules.batchnorm._BatchNorm) else type(module).__name__
    target, does = node.target, traced.does(node, module)
    if does == "sigmoid":
        return "activation", "sigmoid"
    if isinstance(module, nn.ReLU) or target in RELU:
        return "activation", "ReLU"
    if module and type(module).__module__ == nn.ReLU.__module__:
        return "activation", type(module).__name__
    if does == "dropout":
        share = (
            getattr(module, "p", None) if module else node.kwargs.get("p", node.args[1] if len(node.args) > 1 else 0.5)
        )
        return "scale", f"dropout {share:g}" if isinstance(share, float | int) else "dropout"
    if does == "pad":
        return "resize", "zero-padding"
    if target is operator.getitem:
        return "resize", "subsampling"
    if isinstance(module, nn.AdaptiveAvgPool2d) and _shape(node)[2:] == (1, 1):
        return "resize", "global avg pool"
    if isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
        size = module.kernel_size if isinstance(module.kernel_size, tuple) else (module.kernel_size,) * 2
        return "resize", f"{'avg' if isinstance(module, nn.AvgPool2d) else 'max'} pool {'x'.join(map(str, size))}"
    if sign := {"add": "+", "subtract": "−", "multiply": "×"}.get(does):
        return ("meet", sign) if inputs > 1 else ("scale", _by_constant(node, sign))
    called = (
        type(module).__name__ if module else target if isinstance(target, str) else getattr(target, "__name__", "?")
    )
    return "meet" if inputs > 1 else "other", printable(called)


def _by_constant(node: fx.Node, sign: str) -> str:
    """An operation of which one side is no value of the graph: `× 0.5`, `1 −`, or a weight by its name, `× gamma`."""
    left, right = (*node.args, *node.kwargs.values())[:2]
    constant, first = (left, True) if not isinstance(left, fx.Node) or left.op == "get_attr" else (right, False)
    if node.target in (torch.rsub, "rsub"):
        first = not first
    words = f"{constant:g}" if isinstance(constant, float | int) else str(getattr(constant, "target", "?"))
    return f"{words} {sign}" if first and sign == "−" else f"{sign} {words}"


def _subsampled_alone(node: fx.Node, inputs: list[fx.Node], steps: dict[fx.Node, Step]) -> bool:
    """Whether it pads with zeros what was subsampled for that alone."""
    return (
        traced.does(node, None) == "pad"
        and len(inputs) == 1
        and steps[inputs[0]].does == "subsampling"
        and len(inputs[0].users) == 1
    )


def _stride(inputs: list[fx.Node], node: fx.Node) -> int:
    """How many times smaller its map is than that of its first input."""
    before, after = _shape(inputs[0])[2:], _shape(node)[2:]
    return max(1, round(before[0] / after[0])) if before and after and after[0] else 1


def _shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of a node's value; empty where that is no tensor with channels."""
    shape = traced.shape(node)
    return shape if len(shape) > 1 else ()
