"""The graph of a module's forward pass, by torch.fx, with the shape of every value; no weight is touched."""

import operator
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import Target

from lit_resnet.nets.gates import in_32_bits

Does = Literal["add", "subtract", "multiply", "sigmoid", "dropout", "pad", "other"]

# What nodes of a graph do, by the function, the method's name or the module's class that they call.
_DOES: dict[Any, Does] = {
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), "add"),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub, torch.rsub, "sub", "sub_", "rsub"), "subtract"),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul, "mul", "mul_"), "multiply"),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, nn.Sigmoid, "sigmoid", "sigmoid_"), "sigmoid"),
    **dict.fromkeys((F.dropout, F.dropout2d, nn.Dropout, nn.Dropout2d, torch.dropout), "dropout"),
    F.pad: "pad",
}

# What leaves numbers as they are, to rounding, is left out of a graph.
CONVERSIONS = (in_32_bits, "to", "type_as", "float", "double", "half", "bfloat16")

# Their outputs have the shapes of their inputs. On the meta device they take most of the time, and so they are skipped.
KEEP_SHAPES = (nn.BatchNorm2d, nn.ReLU)


def module(net: nn.Module, *shapes: tuple[int, ...], device: torch.device) -> fx.GraphModule:
    """Trace a module on its device, whose tensor arguments have these shapes; every node says its value's shape.

    Conversions to other floats are left out.

    On the meta device there are no weights, but PyTorch takes three seconds in a process to get ready for it.

    Raises:
        Exception: Any, from the module's own code: what it does depends on the values that it gets.
    """
    graph = fx.symbolic_trace(net)
    for node in graph.graph.nodes:
        if node.op in ("call_function", "call_method") and node.target in CONVERSIONS:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()  # such as x.dtype, which a conversion asked for
    graph.recompile()
    _Shapes(graph).run(*(torch.zeros(*shape, device=device) for shape in shapes))
    return graph


def called(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that a node of a graph calls; None where it calls a function."""
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def does(node: fx.Node, module: nn.Module | None) -> Does:
    """What a node does that calls `module`, or a function where that is None."""
    target: Callable[..., Any] | str | type = type(module) if module else node.target
    return _DOES.get(target, "other")


def shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of a node's value; () where that is no tensor."""
    return node.meta.get("shape", ())


class _Shapes(fx.Interpreter):
    """Notes the shape of every value."""

    def run_node(self, n: fx.Node) -> Any:
        """The value of a node."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            n.meta["shape"] = tuple(value.shape)
        return value

    def call_module(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the module returns, or something of its shape."""
        module = self.module.get_submodule(str(target))
        return args[0] if isinstance(module, KEEP_SHAPES) else super().call_module(target, args, kwargs)
