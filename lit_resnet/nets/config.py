"""The net as a typed value: what the paper varies, and nothing else."""

from dataclasses import dataclass
from typing import Literal

from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS

Family = Literal["cifar", "imagenet", "vgg"]

# Table 1: residual functions in conv2_x .. conv5_x.
IMAGENET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


VGG_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class NetConfig:
    """One net of the paper.

    Args:
        family: `cifar` for the nets of Sec. 4.2 (6n+2 layers, 16-32-64 filters), `imagenet` for those of Table 1, `vgg`
            for the reference that these follow (its ref. [41]).
        depth: Weighted layers: 6n+2 for `cifar` (20, 32, 44, 56, 110, 1202); 18, 34, 50, 101 or 152 for `imagenet`; 16
            or 19 for `vgg`.
        shortcut: `none` is the plain net; `A` pads with zeros where dimensions increase, `B` projects there, `C`
            projects on every shortcut (Sec. 3.3). The paper uses A on CIFAR-10 and B for 50 layers and more. VGG has
            `none`.
        stride_on: Which layer of a bottleneck halves the map: the first `1x1` (the paper) or the `3x3` (v1.5, as in
            torchvision). Nets without bottlenecks are the same either way.
        block: `paper` is the residual function of that net (two 3x3 layers, or the bottleneck from 50 layers on);
            `single` puts a shortcut around every single 3x3 layer, y = W1 x + x (Sec. 3.2).
        num_classes: Width of the last layer.
        in_channels: Channels of the images.

    Raises:
        ValueError: The paper's rules give no such net; the message says what to write instead.
    """

    family: Family = "cifar"
    depth: int = 20
    shortcut: str = "A"
    stride_on: Literal["1x1", "3x3"] = "1x1"
    block: str = "paper"
    num_classes: int = 10
    in_channels: int = 3

    def __post_init__(self) -> None:
        for field, allowed in {
            "family": ("cifar", "imagenet", "vgg"),
            "stride_on": ("1x1", "3x3"),
        }.items():
            if getattr(self, field) not in allowed:
                raise ValueError(f"{field} is {getattr(self, field)!r}: write one of {', '.join(allowed)}")
        for field, allowed in {"shortcut": SHORTCUTS, "block": ("paper", *BLOCKS)}.items():
            if getattr(self, field) not in allowed:
                raise ValueError(f"{field} is {getattr(self, field)!r}: write one of {', '.join(allowed)}")
        if self.family == "cifar" and (self.depth < 8 or self.depth % 6 != 2):
            below = max(8, (self.depth - 2) // 6 * 6 + 2)
            raise ValueError(
                f"depth is {self.depth}: a cifar net has 6n+2 layers; the nearest are {below} and {below + 6}"
            )
        if self.family == "imagenet" and self.depth not in IMAGENET_BLOCKS:
            raise ValueError(f"depth is {self.depth}: an imagenet net has 18, 34, 50, 101 or 152 layers")
        if self.family == "vgg" and self.depth not in VGG_CONVOLUTIONS:
            raise ValueError(f"depth is {self.depth}: a vgg net has 16 or 19 layers")
        if self.family == "vgg" and self.shortcut != "none":
            raise ValueError(f"shortcut is {self.shortcut}: a vgg net has no shortcuts; write none")
        if self.block != "paper" and self.shortcut == "none" and not BLOCKS[self.block].without_shortcut:
            raise ValueError(
                f"block is {self.block}, which is about shortcuts: write shortcut A, B or C, or block paper"
            )
        if self.block != "paper" and self.bottleneck:
            raise ValueError(
                f"block is {self.block}: bottleneck nets ({self.depth} layers) have none; write 18 or 34 layers"
            )
        for field in ("num_classes", "in_channels"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}: write 1 or more")

    @property
    def bottleneck(self) -> bool:
        """Whether the residual functions are bottlenecks (Fig. 5 right)."""
        return self.family == "imagenet" and self.depth >= 50

    @property
    def stages(self) -> tuple[int, ...]:
        """Residual functions (pairs of layers, or bottlenecks) in each stage; for `vgg` convolutions."""
        if self.family == "cifar":
            return ((self.depth - 2) // 6,) * 3
        if self.family == "vgg":
            return VGG_CONVOLUTIONS[self.depth]
        return IMAGENET_BLOCKS[self.depth]

    def __str__(self) -> str:
        """The paper's name: `plain-56`, `ResNet-110`, `ResNet-34 B`, `ResNet-50`, `VGG-16`."""
        if self.family == "vgg":
            return f"VGG-{self.depth}"
        if self.shortcut == "none":
            name = f"plain-{self.depth}"
        else:
            usual = "A" if self.family == "cifar" else "B" if self.bottleneck else None
            name = f"ResNet-{self.depth}" + ("" if self.shortcut == usual else f" {self.shortcut}")
        if self.block != "paper":
            name += f" {BLOCKS[self.block].label}"
        if self.bottleneck and self.stride_on == "3x3":
            name += " v1.5"
        return name
