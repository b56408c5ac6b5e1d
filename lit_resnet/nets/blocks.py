"""The building blocks of Sec. 3: residual functions and the shortcuts around them.

Every layer is conv -> BN, with no conv bias. ReLU follows each layer but the last of a block: there it comes after the
addition. Attribute names are torchvision's (`conv1`, `bn1`, `downsample`), so that its published weights load.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from lit_resnet.nets.config import Shortcut


def conv(c_in: int, c_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Convolution without bias that keeps the map size, but for its stride."""
    return nn.Conv2d(c_in, c_out, size, stride=stride, padding=size // 2, bias=False)


class ZeroPad(nn.Module):
    """Option A: subsample the map and add channels of zeros. No parameters."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = c_out - c_in, stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, c_in, H, W] -> [N, c_out, H/stride, W/stride]."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def shortcut(option: Shortcut, c_in: int, c_out: int, stride: int) -> nn.Module | None:
    """The shortcut around one block (Sec. 3.3); None in a plain net."""
    increases = stride != 1 or c_in != c_out
    if option == "none":
        return None
    if option == "C" or (option == "B" and increases):
        return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))
    return ZeroPad(c_in, c_out, stride) if increases else nn.Identity()


class Block(nn.Module):
    """y = ReLU(F(x) + shortcut(x)), Eqn. 1-2; y = ReLU(F(x)) in a plain net. Children define F, `residual`."""

    def __init__(self, option: Shortcut, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.downsample = shortcut(option, c_in, c_out, stride)
        self.relu = nn.ReLU(inplace=True)

    def residual(self, x: Tensor) -> Tensor:
        """F(x): the layers of the block, before the addition."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """[N, c_in, H, W] -> [N, c_out, H/stride, W/stride]."""
        y = self.residual(x)
        if self.downsample is not None:
            y += self.downsample(x)
        return self.relu(y)


class Basic(Block):
    """Two 3x3 layers (Fig. 5 left)."""

    expansion = 1

    def __init__(self, option: Shortcut, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, width, stride)
        self.conv1, self.bn1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        """3x3, ReLU, 3x3."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    """1x1 that reduces, 3x3, 1x1 that restores four times the width (Fig. 5 right)."""

    expansion = 4

    def __init__(self, option: Shortcut, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, 4 * width, stride)
        first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1, self.bn1 = conv(c_in, width, 1, first), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, second), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)

    def residual(self, x: Tensor) -> Tensor:
        """1x1, ReLU, 3x3, ReLU, 1x1."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class SingleLayer(Block):
    """One 3x3 layer, y = ReLU(W1 x + x): the form in which Sec. 3.2 saw no advantage."""

    expansion = 1

    def __init__(self, option: Shortcut, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, width, stride)
        self.conv1, self.bn1 = conv(c_in, width, 3, stride), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        """One 3x3 layer."""
        return self.bn1(self.conv1(x))
