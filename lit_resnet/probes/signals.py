"""Signals in the layers while a net trains (Sec. 4.1): whether responses or gradients vanish."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Signal:
    """The signals of one 3x3 layer in one iteration.

    Args:
        name: The layer's name.
        variance: Variance of its response (after BN, before ReLU or the addition) over the batch of this device.
        gradient: L2 norm of the gradient of the batch's mean loss with respect to the response.
    """

    name: str
    variance: float
    gradient: float


@runtime_checkable
class Layered(Protocol):
    """A net that names its layers."""

    def layers(self) -> Iterable[tuple[str, nn.Module]]:
        """The name of each layer, and the module whose output is the layer's response."""
        ...


class Listening:
    """A context that measures the signals of one forward and backward pass of `net`. Outside of it there is no cost.

    Example::

        with Listening(net) as listening:
            loss(net(images)).backward()
        listening.signals()
    """

    def __init__(self, net: Layered) -> None:
        self.net = net
        self.variances: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}

    def __enter__(self) -> "Listening":
        self.hooks = [response.register_forward_hook(self._hook(name)) for name, response in self.net.layers()]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def heard(module: nn.Module, inputs: tuple[Tensor, ...], response: Tensor) -> None:
            self.variances[name] = response.detach().float().var(correction=0)
            if response.requires_grad:
                response.register_hook(lambda gradient: self.gradients.update({name: gradient.float().norm()}))

        return heard

    def signals(self) -> list[Signal]:
        """The signals that were measured, in the order of the layers. Waits for the device."""
        names = [name for name, _ in self.net.layers()]
        variances = torch.stack([self.variances[name] for name in names]).tolist()
        gradients = torch.stack([self.gradients[name] for name in names]).tolist()
        return [Signal(*values) for values in zip(names, variances, gradients, strict=True)]
