"""The building blocks of Sec. 3: residual functions, and the shortcuts around them.

Every layer is conv -> BN, with no conv bias. ReLU follows each layer but the last of a block: there it comes after the
addition. Attribute names are torchvision's (`conv1`, `bn1`, `downsample`), so that its published weights load.

A new kind of block is a class and an entry in `BLOCKS`; a new shortcut is a function and an entry in `SHORTCUTS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from lit_resnet.nets.config import NetConfig


def conv(c_in: int, c_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Convolution without bias, padded so that only its stride changes the map size."""
    return nn.Conv2d(c_in, c_out, size, stride=stride, padding=size // 2, bias=False)


def layers_of(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The 3x3 convolutions among a module's own children, each with its BN: `conv2` with `bn2`.

    Raises:
        AttributeError: A convolution has no BN of that name.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.kernel_size == (3, 3):
            yield name, module.get_submodule(name.replace("conv", "bn"))


class ZeroPad(nn.Module):
    """Option A (Sec. 3.3): subsample the map and add channels of zeros. No parameters."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = c_out - c_in, stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, c_in, H, W] -> [N, c_out, H / stride, W / stride]."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def projection(c_in: int, c_out: int, stride: int) -> nn.Module:
    """A 1x1 convolution and its BN: option C, and option B where dimensions increase."""
    return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


def no_shortcut(c_in: int, c_out: int, stride: int) -> None:
    """No shortcut: the block of a plain net."""


def option_a(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Identity, and padding with zeros where dimensions increase."""
    return ZeroPad(c_in, c_out, stride) if stride != 1 or c_in != c_out else nn.Identity()


def option_b(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Identity, and a projection where dimensions increase."""
    return projection(c_in, c_out, stride) if stride != 1 or c_in != c_out else nn.Identity()


# By the values of `NetConfig.shortcut` (Sec. 3.3): a function that makes the shortcut around one block, from the
# channels before and after the block and its stride. It returns None where the block has no shortcut.
SHORTCUTS: dict[str, Callable[[int, int, int], nn.Module | None]] = {
    "none": no_shortcut,
    "A": option_a,
    "B": option_b,
    "C": projection,
}


class Block(nn.Module):
    """y = ReLU(F(x) + shortcut(x)), Eqn. 1-2; y = ReLU(F(x)) in a plain net. Children define F, `residual`.

    Args:
        config: That of the net; a block reads `shortcut` and whatever else it needs.
        c_in: Channels of its input.
        width: Filters of the stage; the block puts out `expansion` times as many channels.
        stride: How many times smaller its output is.
    """

    expansion: ClassVar[int] = 1
    per_function: ClassVar[int] = 1  # how many such blocks take the place of one residual function of the paper

    def __init__(self, config: "NetConfig", c_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.downsample = SHORTCUTS[config.shortcut](c_in, self.expansion * width, stride)
        self.relu = nn.ReLU(inplace=True)

    def residual(self, x: Tensor) -> Tensor:
        """F(x): [N, c_in, H, W] -> [N, expansion * width, H / stride, W / stride]."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of the shape of F(x)."""
        y = self.residual(x)
        if self.downsample is not None:
            y += self.downsample(x)
        return self.relu(y)

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Its 3x3 layers for the probes (Fig. 7): the convolution's name, and the module that puts out the response."""
        return layers_of(self)


class Basic(Block):
    """Two 3x3 layers (Fig. 5 left)."""

    def __init__(self, config: "NetConfig", c_in: int, width: int, stride: int) -> None:
        super().__init__(config, c_in, width, stride)
        self.conv1, self.bn1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        """W2 ReLU(W1 x), with BN after both."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    """A 1x1 layer that reduces the width, a 3x3 layer, a 1x1 layer that widens four times (Fig. 5 right)."""

    expansion = 4

    def __init__(self, config: "NetConfig", c_in: int, width: int, stride: int) -> None:
        super().__init__(config, c_in, width, stride)
        first, second = (stride, 1) if config.stride_on == "1x1" else (1, stride)
        restored = self.expansion * width
        self.conv1, self.bn1 = conv(c_in, width, 1, first), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, second), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, restored, 1), nn.BatchNorm2d(restored)

    def residual(self, x: Tensor) -> Tensor:
        """W3 ReLU(W2 ReLU(W1 x)), with BN after each."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class SingleLayer(Block):
    """One 3x3 layer, y = ReLU(W1 x + x): a form in which the paper saw no advantage (Sec. 3.2)."""

    per_function = 2

    def __init__(self, config: "NetConfig", c_in: int, width: int, stride: int) -> None:
        super().__init__(config, c_in, width, stride)
        self.conv1, self.bn1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        """W1 x, with BN."""
        return self.bn1(self.conv1(x))


@dataclass(frozen=True)
class Kind:
    """What `NetConfig.block` chooses.

    Args:
        basic: The block of nets of fewer than 50 layers, and of CIFAR nets.
        bottleneck: That of ImageNet nets of 50 layers and more; None where there is no such form.
        plain: Whether a plain net, without shortcuts, may have these blocks.
        suffix: What these blocks add to the name of a net.
    """

    basic: type[Block]
    bottleneck: type[Block] | None = None
    plain: bool = True
    suffix: str = ""


BLOCKS = {
    "paper": Kind(Basic, Bottleneck),
    "single": Kind(SingleLayer, plain=False, suffix="single-layer"),
}
