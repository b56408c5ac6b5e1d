"""Signals through the layers while a net trains (Sec. 4.1): do they vanish on their way forward, or back?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_resnet.probes.responses import layers


@dataclass(frozen=True)
class Signal:
    """One 3x3 layer in one iteration.

    Args:
        name: The layer's name.
        variance: Variance of its response (after BN, before ReLU or the addition) over the batch of this device.
        gradient: L2 norm of the gradient of that batch's mean loss with respect to that response.
    """

    name: str
    variance: float
    gradient: float


class Listening:
    """Listens to the next forward and backward pass of `net`; outside its `with` block it costs nothing.

    To be used like this::

        with Listening(net) as listening:
            loss(net(images)).backward()
        listening.signals()
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.variances: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}

    def __enter__(self) -> "Listening":
        self.hooks = [bn.register_forward_hook(self._hook(name)) for name, bn in layers(self.net)]
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
        """What was heard, in the order of the layers. Waits for the device."""
        names = [name for name, _ in layers(self.net)]
        variances = torch.stack([self.variances[name] for name in names]).tolist()
        gradients = torch.stack([self.gradients[name] for name in names]).tolist()
        return [Signal(*values) for values in zip(names, variances, gradients, strict=True)]
