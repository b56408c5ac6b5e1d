"""The building blocks of Sec. 3: residual functions, and the shortcuts around them.

In the paper every layer is conv -> BN, with no conv bias. ReLU follows each layer but the last of a block: there it
comes after the addition. Attribute names are torchvision's (`conv1`, `bn1`, `downsample`), so that its published
weights load.

A new kind of block is a class and an entry in `BLOCKS`; a new shortcut is a function and an entry in `SHORTCUTS`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from lit_resnet.nets.gates import GATES
from lit_resnet.nets.orders import ORDERS, Step

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


class Projection(nn.Sequential):
    """A 1x1 convolution and its BN: option C, and option B where dimensions increase."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


def no_shortcut(c_in: int, c_out: int, stride: int) -> None:
    """No shortcut: the block of a plain net."""


def option_a(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Identity, and padding with zeros where dimensions increase."""
    return ZeroPad(c_in, c_out, stride) if stride != 1 or c_in != c_out else nn.Identity()


def option_b(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Identity, and a projection where dimensions increase."""
    return Projection(c_in, c_out, stride) if stride != 1 or c_in != c_out else nn.Identity()


# By the values of `NetConfig.shortcut` (Sec. 3.3): a function that makes the shortcut around one block, from the
# channels before and after the block and its stride. It returns None where the block has no shortcut.
SHORTCUTS: dict[str, Callable[[int, int, int], nn.Module | None]] = {
    "none": no_shortcut,
    "A": option_a,
    "B": option_b,
    "C": Projection,
}


def activation(steps: Sequence[Step], channels: int, in_place: bool) -> nn.Sequential:
    """BN and ReLU as an order has them around the layers of a block; there may be none."""
    modules = {"bn": lambda: nn.BatchNorm2d(channels), "relu": lambda: nn.ReLU(inplace=in_place)}
    return nn.Sequential(*(modules[step]() for step in steps))


class Block(nn.Module):
    """y = ReLU(F(x) + shortcut(x)), Eqn. 1-2; y = ReLU(F(x)) in a plain net. Children define F, `residual`.

    `NetConfig.gate` puts factors into the sum (see `gates`), and `NetConfig.order` moves BN and ReLU (see `orders`).

    Args:
        config: That of the net; a block reads `shortcut` and whatever else it needs.
        c_in: Channels of its input.
        width: Filters of the stage; the block puts out `expansion` times as many channels.
        stride: How many times smaller its output is.
    """

    expansion: ClassVar[int] = 1
    per_function: ClassVar[int] = 1  # how many such blocks take the place of one residual function of the paper
    function_layers: ClassVar[int] = 2  # of one residual function: a CIFAR net has three times n of them, and two more
    gate_size: ClassVar[int] = 1  # side of the kernel of a gate's convolution

    def __init__(self, config: "NetConfig", c_in: int, width: int, stride: int) -> None:
        super().__init__()
        order, c_out = ORDERS[config.order], self.expansion * width
        self.downsample = SHORTCUTS[config.shortcut](c_in, c_out, stride)
        if isinstance(self.downsample, Projection) and "bn" in order.leading:
            self.downsample = nn.Sequential(self.downsample[0])  # its BN is that of the pre-activation
        # Whether the shortcut is a layer, and not the input, or a part of it.
        self.projects = self.downsample is not None and any(True for _ in self.downsample.parameters())
        self.relu = nn.ReLU(inplace=True)
        self.before = activation(order.leading, c_in, in_place=order.leading[:1] == ("bn",))  # the shortcut needs x
        self.after = activation(order.after, c_out, in_place=True)
        self.in_place = order.last[-1] != "relu"  # a sum may take the place of F(x), but ReLU's gradient needs it
        self.gate = None
        if config.gate != "none":
            self.gate = GATES[config.gate](c_in, c_out, stride, config.gate_number, self.gate_size)

    def residual(self, x: Tensor) -> Tensor:
        """F(x), of x after its pre-activation: [N, c_in, H, W] -> [N, expansion * width, H / stride, W / stride]."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of the shape of F(x)."""
        activated = self.before(x)
        y = self.residual(activated)
        if self.downsample is not None:
            y = self._sum(x, self.downsample(activated if self.projects else x), y)
        return self.after(y)

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Its 3x3 layers for the probes (Fig. 7): the convolution's name, and the module that puts out the response."""
        return layers_of(self)

    def _sum(self, x: Tensor, shortcut: Tensor, y: Tensor) -> Tensor:
        if self.gate is not None:
            return self.gate(x, shortcut, y)
        if not self.in_place:
            return y + shortcut
        y += shortcut
        return y


class Stacked(Block):
    """A block of convolutions `conv1`, `conv2`, ..., with their BN `bn1`, `bn2`, ..., in any order of activation."""

    def __init__(self, config: "NetConfig", c_in: int, width: int, stride: int) -> None:
        super().__init__(config, c_in, width, stride)
        shapes, order = self.shapes(config, c_in, width, stride), ORDERS[config.order]
        self.steps: list[str] = []  # names of modules, in the order in which F calls them
        for number, (channels, filters, size, step) in enumerate(shapes, start=1):
            steps = order.last if number == len(shapes) else order.layer
            steps = steps[len(order.leading) :] if number == 1 else steps  # `before` has done that
            self.add_module(f"conv{number}", conv(channels, filters, size, step))
            if "bn" in steps:
                follows = steps.index("conv") < steps.index("bn")
                self.add_module(f"bn{number}", nn.BatchNorm2d(filters if follows else channels))
            self.steps += [name if name == "relu" else f"{name}{number}" for name in steps]

    @staticmethod
    def shapes(config: "NetConfig", c_in: int, width: int, stride: int) -> Sequence[tuple[int, int, int, int]]:
        """Of each convolution: channels, filters, side of its kernel, and stride."""
        raise NotImplementedError

    def residual(self, x: Tensor) -> Tensor:
        """W2 ReLU(W1 x) and so on, with BN and ReLU where the order has them."""
        for name in self.steps:
            x = getattr(self, name)(x)
        return x

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Its 3x3 layers; the response is what a convolution puts out where its BN is not the next step."""
        for name, following in pairwise([*self.steps, ""]):
            module = self.get_submodule(name)
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                yield name, self.get_submodule(following) if following.startswith("bn") else module


class Basic(Stacked):
    """Two 3x3 layers (Fig. 5 left)."""

    @staticmethod
    def shapes(config: "NetConfig", c_in: int, width: int, stride: int) -> Sequence[tuple[int, int, int, int]]:
        """Those of the paper."""
        return (c_in, width, 3, stride), (width, width, 3, 1)


class Bottleneck(Stacked):
    """A 1x1 layer that reduces the width, a 3x3 layer, a 1x1 layer that widens four times (Fig. 5 right)."""

    expansion = 4
    function_layers = 3

    @staticmethod
    def shapes(config: "NetConfig", c_in: int, width: int, stride: int) -> Sequence[tuple[int, int, int, int]]:
        """Those of the paper, or of v1.5."""
        first, second = (stride, 1) if config.stride_on == "1x1" else (1, stride)
        return (c_in, width, 1, first), (width, width, 3, second), (width, Bottleneck.expansion * width, 1, 1)


class SingleLayer(Stacked):
    """One 3x3 layer, y = ReLU(W1 x + x): a form in which the paper saw no advantage (Sec. 3.2)."""

    per_function = 2

    @staticmethod
    def shapes(config: "NetConfig", c_in: int, width: int, stride: int) -> Sequence[tuple[int, int, int, int]]:
        """That of its layer."""
        return ((c_in, width, 3, stride),)


class Highway(SingleLayer):
    """One layer of a highway net: ReLU(BN(W x)) T(x) + x (1 - T(x)), whose gate T is a 3x3 convolution, too.

    From *Training Very Deep Networks* (arXiv 1507.06228). BN is ours: the widths are those of this paper's nets.
    """

    gate_size = 3


@dataclass(frozen=True)
class Kind:
    """What `NetConfig.block` chooses.

    Args:
        basic: The block of nets of fewer than 50 layers, and of CIFAR nets.
        bottleneck: That of ImageNet nets of 50 layers and more; None where there is no such form.
        plain: Whether a plain net, without shortcuts, may have these blocks.
        suffix: What these blocks add to the name of a net.
        families: The families whose nets may have them.
        name: How the name of a residual net of them begins.
        fixed: Keys of `NetConfig` of which there is one value for these blocks.
    """

    basic: type[Block]
    bottleneck: type[Block] | None = None
    plain: bool = True
    suffix: str = ""
    families: tuple[str, ...] = ("cifar", "imagenet")
    name: str = "ResNet"
    fixed: Mapping[str, str] = field(default_factory=dict)


BLOCKS = {
    "paper": Kind(Basic, Bottleneck, families=("cifar", "imagenet", "vgg")),
    "single": Kind(SingleLayer, plain=False, suffix="single-layer"),
    "bottleneck": Kind(Bottleneck, suffix="bottleneck", families=("cifar",)),
    "highway": Kind(Highway, plain=False, name="Highway", fixed={"gate": "exclusive", "order": "relu-before"}),
}
