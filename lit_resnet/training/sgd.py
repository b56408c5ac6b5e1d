"""SGD with momentum and weight decay (Sec. 3.4)."""

from dataclasses import dataclass

import torch
from torch import nn

from lit_resnet.metrics import FLOAT32


@dataclass(frozen=True)
class Sgd:
    """SGD's values; the defaults are the paper's.

    Args:
        momentum: Momentum of SGD.
        weight_decay: Weight decay, on all weights as in the paper.
        decay_bn_and_bias: Weight decay on BN's scales and shifts and biases too, as in the paper.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_bn_and_bias: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: write a number from 0 up to 1, such as 0.9")
        if not 0 <= self.weight_decay <= FLOAT32:  # nan fails, too
            raise ValueError(f"weight_decay is {self.weight_decay}: write 0 or more, such as 1e-4")

    def optimizer(self, net: nn.Module, lr: float) -> torch.optim.SGD:
        """The optimizer of a net's weights, which begins with the learning rate `lr`."""
        weights = [p for p in net.parameters() if p.ndim > 1 or self.decay_bn_and_bias]
        others = [p for p in net.parameters() if p.ndim == 1 and not self.decay_bn_and_bias]
        groups = [{"params": weights, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=lr, momentum=self.momentum)
