"""What multiplies a shortcut s and a residual function F where they are added, in place of s + F.

From *Identity Mappings in Deep Residual Networks* (arXiv 1603.05027, Sec. 3, Table 1). A new kind is a class and an
entry in `GATES`; `NetConfig.gate` chooses it by its name there, and `NetConfig.gate_value` is its number.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn


@torch.fx.wrap  # one step of a forward pass that is traced
def in_32_bits(x: Tensor) -> Tensor:
    """x in floats of 32 bits at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Gate(nn.Module):
    """A sum of s and F with factors. Children say which, in `forward`.

    Args:
        c_in: Channels of the block's input x.
        c_out: Channels of its output.
        stride: How many times smaller its output is.
        value: The number that belongs to it.
        size: Side of the kernel of a gate's convolution, if it has one.

    Attributes:
        label: What it adds to the name of a net, as a format of its value.
        default: Its value where none is said; `least` and `most` are the ends of what is possible.
    """

    label: ClassVar[str]
    default: ClassVar[float]
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 1.0

    def __init__(self, c_in: int, c_out: int, stride: int, value: float, size: int = 1) -> None:
        super().__init__()
        self.value = value

    def begin(self) -> None:
        """Set what begins otherwise than weights and biases of other layers do, after these were drawn."""

    def forward(self, x: Tensor, s: Tensor, f: Tensor) -> Tensor:
        """The block's input x [N, c_in, H, W], its shortcut s and F(x) -> their sum, of the shape of s and F(x)."""
        raise NotImplementedError


class Scale(Gate):
    """v s + F: constant scaling of the shortcut, 0.5 in the sequel."""

    label, default = "shortcut x{:g}", 0.5

    def forward(self, x: Tensor, s: Tensor, f: Tensor) -> Tensor:
        """See above."""
        return self.value * s + f


class Half(Gate):
    """v s + (1 - v) F: a gate that is frozen, at 0.5 in the sequel."""

    label, default = "frozen gate {:g}", 0.5

    def forward(self, x: Tensor, s: Tensor, f: Tensor) -> Tensor:
        """See above."""
        return self.value * s + (1 - self.value) * f


class Dropout(Gate):
    """dropout(s) + F, where v is the probability that a value is dropped, 0.5 in the sequel.

    As PyTorch's dropout does, the values that stay are divided by 1 - v while the net trains, so that a test has s + F.
    """

    label, default, most = "dropout {:g}", 0.5, 0.99

    def __init__(self, c_in: int, c_out: int, stride: int, value: float, size: int = 1) -> None:
        super().__init__(c_in, c_out, stride, value, size)
        self.dropout = nn.Dropout(value)

    def forward(self, x: Tensor, s: Tensor, f: Tensor) -> Tensor:
        """See above."""
        return self.dropout(s) + f


class ShortcutGate(Gate):
    """(1 - g) s + F with g = sigmoid(W x + b), for each channel and position: shortcut-only gating.

    W is a 1x1 convolution, of the block's stride, and b a bias whose initial value is that of the gate. Where b is very
    negative the shortcut is an identity.

    g and the sum are taken in 32 bits at least: of the factor 1 - g, 0.9975 at a bias of -6, bf16 knows 0.996 and 1.
    """

    label, default, least, most = "shortcut gate {:g}", -6.0, -100.0, 100.0

    def __init__(self, c_in: int, c_out: int, stride: int, value: float, size: int = 1) -> None:
        super().__init__(c_in, c_out, stride, value, size)
        self.conv = nn.Conv2d(c_in, c_out, size, stride=stride, padding=size // 2)

    @torch.no_grad()
    def begin(self) -> None:
        """The bias begins at the gate's value."""
        assert self.conv.bias is not None
        self.conv.bias.fill_(self.value)

    def opening(self, x: Tensor) -> Tensor:
        """g, of the shape of F(x). A child may say it otherwise."""
        return torch.sigmoid(in_32_bits(self.conv(x)))

    def forward(self, x: Tensor, s: Tensor, f: Tensor) -> Tensor:
        """See above."""
        return ((1 - self.opening(x)) * s + f).type_as(f)


class ExclusiveGate(ShortcutGate):
    """(1 - g) s + g F: exclusive gating, the form of highway nets (arXiv 1507.06228)."""

    label = "exclusive gate {:g}"

    def forward(self, x: Tensor, s: Tensor, f: Tensor) -> Tensor:
        """See above."""
        g = self.opening(x)
        return ((1 - g) * s + g * f).type_as(f)


# By the values of `NetConfig.gate`; `none`, which is s + F, is not among them.
GATES: dict[str, type[Gate]] = {
    "scale": Scale,
    "half": Half,
    "exclusive": ExclusiveGate,
    "shortcut": ShortcutGate,
    "dropout": Dropout,
}
