"""How far the gates of a net are open while it trains: what part of the signal its shortcuts carry."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_resnet.nets.gates import ShortcutGate


@dataclass(frozen=True)
class Opening:
    """The gate of one block in one iteration.

    Args:
        name: The block's name: `layer1.0`.
        opening: Mean of g over the batch of this device, all channels and positions, from 0 to 1. The shortcut is
            multiplied by 1 - g, and under exclusive gating the residual function by g.
    """

    name: str
    opening: float


def gates(net: nn.Module) -> dict[str, ShortcutGate]:
    """The gates of a net by the names of their blocks, in the order of the net; none for most nets."""
    found = ((name, module) for name, module in net.named_modules() if isinstance(module, ShortcutGate))
    return {name.rpartition(".")[0]: module for name, module in found}


class Watching:
    """A context that measures the gates of a net in one forward pass. Outside of it there is no cost.

    Example::

        with Watching(gates(net)) as watching:
            net(images)
        watching.openings()
    """

    def __init__(self, gates: dict[str, ShortcutGate]) -> None:
        self.gates = gates
        self.means: dict[str, Tensor] = {}

    def __enter__(self) -> "Watching":
        for name, gate in self.gates.items():
            gate.opening = self._measured(name, gate.opening)  # of this gate alone, before that of its class
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self.gates.values():
            del gate.opening

    def _measured(self, name: str, opening: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        def measured(x: Tensor) -> Tensor:
            g = opening(x)
            self.means[name] = g.detach().float().mean()
            return g

        return measured

    def openings(self) -> list[Opening]:
        """What was measured, in the order of the net, without gates that its forward pass leaves out.

        Waits for the device.
        """
        if not self.means:
            return []
        names = [name for name in self.gates if name in self.means]
        means = torch.stack([self.means[name] for name in names]).tolist()
        return [Opening(*values) for values in zip(names, means, strict=True)]
