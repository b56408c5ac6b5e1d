"""SGD with momentum and weight decay (Sec. 3.4)."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from lit_resnet.metrics import FLOAT32
from lit_resnet.nets.gates import ShortcutGate

MomentumForm = Literal["pytorch", "caffe"]


@dataclass(frozen=True)
class Sgd:
    """SGD's values; the defaults are the paper's, but for the form of momentum.

    With velocity v, gradient g, learning rate lr and momentum m, PyTorch's form is v = m v + g; w = w - lr v, and
    Caffe's v = m v + lr g; w = w - v. They are one while the learning rate is constant. When it changes, PyTorch's
    steps change with it at once; Caffe's go on at the old size and come to the new one as v forgets. Sec. 3.4 gives
    the momentum alone, and the paper names Caffe as its library.

    Args:
        momentum: Momentum of SGD.
        momentum_form: `pytorch` or `caffe`: which velocity stays as it is when the learning rate changes.
        weight_decay: Weight decay, on all weights as in the paper.
        decay_bn_and_bias: Weight decay on BN's scales and shifts and biases too, as in the paper.
        decay_gates: Weight decay on the biases of gated shortcuts too, if it is on biases. It moves a bias that gets no
            gradient from -6 to -0.24 in 32,000 iterations at the paper's values, and so opens a gate that began shut;
            neither paper about gates says whether theirs decay.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    momentum: float = 0.9
    momentum_form: MomentumForm = "pytorch"
    weight_decay: float = 1e-4
    decay_bn_and_bias: bool = True
    decay_gates: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: write a number from 0 up to 1, such as 0.9")
        if self.momentum_form not in get_args(MomentumForm):
            raise ValueError(f"momentum_form is {self.momentum_form!r}: write {' or '.join(get_args(MomentumForm))}")
        if not 0 <= self.weight_decay <= FLOAT32:  # nan fails, too
            raise ValueError(f"weight_decay is {self.weight_decay}: write 0 or more, such as 1e-4")

    def optimizer(self, net: nn.Module, lr: float) -> torch.optim.SGD:
        """The optimizer of a net's weights that train, which begins with the learning rate `lr`."""
        trained = [p for p in net.parameters() if p.requires_grad]
        of_gates = {id(gate.conv.bias) for gate in net.modules() if isinstance(gate, ShortcutGate)}

        def spared(p: nn.Parameter) -> bool:
            return p.ndim <= 1 and not (self.decay_bn_and_bias and (self.decay_gates or id(p) not in of_gates))

        weights, others = ([p for p in trained if spared(p) == wanted] for wanted in (False, True))
        groups = [{"params": weights, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=lr, momentum=self.momentum)

    def set_rate(self, optimizer: torch.optim.Optimizer, lr: float) -> None:
        """Set the learning rate of the next iteration.

        What the optimizer holds of a weight is PyTorch's v. Caffe's is lr times that, and stays as it is when the
        learning rate changes: PyTorch's is then scaled by the old rate over the new one.
        """
        for group in optimizer.param_groups:
            if self.momentum_form == "caffe" and group["lr"] != lr:
                for state in (optimizer.state[weight] for weight in group["params"] if weight in optimizer.state):
                    state["momentum_buffer"].mul_(group["lr"] / lr)
            group["lr"] = lr
