"""The building blocks of Sec. 3: residual functions and the shortcuts around them.

Every layer is conv -> BN, with no conv bias. ReLU follows each layer but the last of a block: there it comes after the
addition. Attribute names are torchvision's (`conv1`, `bn1`, `downsample`), so that its published weights load.
"""

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


def conv(c_in: int, c_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Convolution without bias that keeps the map size, but for its stride."""
    return nn.Conv2d(c_in, c_out, size, stride=stride, padding=size // 2, bias=False)


class ZeroPad(nn.Module):
    """Option A: subsample the map and add channels of zeros. No parameters."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = c_out - c_in, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def plain(c_in: int, c_out: int, stride: int) -> None:
    """No shortcut."""


def padded(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Option A: channels of zeros where dimensions increase, identity elsewhere."""
    return nn.Identity() if (stride, c_in) == (1, c_out) else ZeroPad(c_in, c_out, stride)


def projected_where_dimensions_increase(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Option B."""
    return nn.Identity() if (stride, c_in) == (1, c_out) else projected(c_in, c_out, stride)


def projected(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Option C: a projection everywhere."""
    return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


# What NetConfig.shortcut may say (Sec. 3.3): the module around a block of so many channels and that stride.
SHORTCUTS: dict[str, Callable[[int, int, int], nn.Module | None]] = {
    "none": plain,
    "A": padded,
    "B": projected_where_dimensions_increase,
    "C": projected,
}


class Block(nn.Module):
    """y = ReLU(F(x) + shortcut(x)), Eqn. 1-2; y = ReLU(F(x)) in a plain net. Children define F, `residual`."""

    label: ClassVar[str] = ""  # ends the names of its nets
    expansion: ClassVar[int] = 1  # channels of its output, over its width
    per_function: ClassVar[int] = 1  # blocks in place of one residual function of the paper
    without_shortcut: ClassVar[bool] = True  # whether there are plain nets of it

    def __init__(self, option: str, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__()
        self.downsample = SHORTCUTS[option](c_in, self.expansion * width, stride)
        self.relu = nn.ReLU(inplace=True)

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        y = self.residual(x)
        if self.downsample is not None:
            y += self.downsample(x)
        return self.relu(y)


class Basic(Block):
    """Two 3x3 layers (Fig. 5 left)."""

    def __init__(self, option: str, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, width, stride, stride_on)
        self.conv1, self.bn1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    """1x1 that reduces, 3x3, 1x1 that restores four times the width (Fig. 5 right)."""

    expansion = 4

    def __init__(self, option: str, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, width, stride, stride_on)
        first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1, self.bn1 = conv(c_in, width, 1, first), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, second), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class SingleLayer(Block):
    """One 3x3 layer, y = ReLU(W1 x + x): the form in which Sec. 3.2 saw no advantage."""

    label = "single-layer"
    per_function = 2  # a pair of layers becomes two blocks
    without_shortcut = False

    def __init__(self, option: str, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, width, stride, stride_on)
        self.conv1, self.bn1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        return self.bn1(self.conv1(x))


# What NetConfig.block may say besides `paper`, which is Basic or Bottleneck.
BLOCKS: dict[str, type[Block]] = {"single": SingleLayer}
