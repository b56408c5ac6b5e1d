"""The config of a net: what the paper varies, and nothing else."""

from dataclasses import dataclass, field
from typing import Any, Literal

from lit_resnet.errors import check_choice, check_choices, check_range, shown
from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS, Block
from lit_resnet.own_code import is_dotted

Family = Literal["cifar", "imagenet", "vgg", "own"]
OWN = "own"  # the family of nets that are no nets of the paper

# Table 1: residual functions in conv2_x .. conv5_x.
IMAGENET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}

# Convolutions between two pools.
VGG_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

MOST_LAYERS, MOST_CLASSES, MOST_CHANNELS = 5000, 1_000_000, 1024  # beyond which a number is a slip


@dataclass(frozen=True)
class NetConfig:
    """One net of the paper.

    Args:
        family: `cifar` for the nets of Sec. 4.2 (6n+2 layers, 16-32-64 filters), `imagenet` for those of Table 1, `vgg`
            for VGG (the paper's ref. [41]), whose design these follow. It is `own` where `own` names a net.
        depth: Weighted layers: 6n+2 for `cifar` (20, 32, 44, 56, 110, 1202); 18, 34, 50, 101 or 152 for `imagenet`; 16
            or 19 for `vgg`.
        shortcut: `none` is the plain net; `A` pads with zeros where dimensions increase, `B` projects there, `C`
            projects on every shortcut (Sec. 3.3). The paper uses A on CIFAR-10 and B for 50 layers and more. VGG has
            `none`. Or a name that was added to `lit_resnet.nets.blocks.SHORTCUTS`.
        stride_on: Which layer of a bottleneck halves the map: the first `1x1` (the paper) or the `3x3` (v1.5, as in
            torchvision). Nets without bottlenecks are the same either way.
        block: `paper` is the residual function of that net (two 3x3 layers, or the bottleneck from 50 layers on);
            `single` puts a shortcut around every single 3x3 layer, y = W1 x + x (Sec. 3.2). Or a name that was added to
            `lit_resnet.nets.blocks.BLOCKS`.
        own: A net of one's own by its dotted path, `mypackage.Net`: a torch module from images [N, C, H, W] to logits
            [N, num_classes]. See `lit_resnet.nets.own`. The keys above do not matter to it.
        own_args: What it is made with, by name, besides `num_classes` and `in_channels` if it takes them.
        num_classes: Width of the last layer.
        in_channels: Channels of the images.

    Raises:
        ValueError: There is no such net by the paper's rules; the message says what to write instead.
    """

    family: Family = "cifar"
    depth: int = 20
    shortcut: str = "A"
    stride_on: Literal["1x1", "3x3"] = "1x1"
    block: str = "paper"
    own: str | None = None
    own_args: dict[str, Any] = field(default_factory=dict, hash=False)
    num_classes: int = 10
    in_channels: int = 3

    def __post_init__(self) -> None:
        check_range("num_classes", self.num_classes, 1, MOST_CLASSES)
        check_range("in_channels", self.in_channels, 1, MOST_CHANNELS)
        if self.own is not None:
            if not is_dotted(self.own):
                raise ValueError(f"own is {shown(self.own)}: write the dotted path of a class, such as mypackage.Net")
            for name, value in (("family", OWN), ("depth", 0), ("shortcut", "none"), ("block", "paper")):
                object.__setattr__(self, name, value)  # they say nothing of it, and so are the same for all such nets
            return
        if self.family == OWN or self.own_args:
            raise ValueError("own is missing: write the dotted path of a class, such as mypackage.Net")
        check_choices(self)
        check_choice("shortcut", self.shortcut, SHORTCUTS)
        check_choice("block", self.block, BLOCKS)
        if self.depth > MOST_LAYERS:
            raise ValueError(f"depth is {self.depth}: write at most {MOST_LAYERS:,}; the paper's deepest net has 1202")
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
        kind = BLOCKS[self.block]
        if not kind.plain and self.shortcut == "none":
            raise ValueError(
                f"block is {self.block}, which is about shortcuts: write shortcut A, B or C, or block paper"
            )
        if kind.bottleneck is None and self.bottleneck:
            raise ValueError(
                f"block is {self.block}, which bottleneck nets ({self.depth} layers) cannot have: write 18 or 34 layers"
            )

    @property
    def bottleneck(self) -> bool:
        """Whether the residual functions are bottlenecks (Fig. 5 right)."""
        return self.family == "imagenet" and self.depth >= 50

    @property
    def block_type(self) -> type[Block]:
        """The class of its blocks; not used for `vgg`."""
        kind = BLOCKS[self.block]
        return kind.bottleneck if self.bottleneck and kind.bottleneck else kind.basic

    @property
    def stages(self) -> tuple[int, ...]:
        """Residual functions (pairs of layers, or bottlenecks) in each stage; convolutions in each stage of `vgg`."""
        if self.family == "cifar":
            return ((self.depth - 2) // 6,) * 3
        if self.family == "vgg":
            return VGG_CONVOLUTIONS[self.depth]
        return IMAGENET_BLOCKS[self.depth]

    def __str__(self) -> str:
        """The paper's name: `plain-56`, `ResNet-110`, `ResNet-34 B`, `ResNet-50`, `VGG-16`; or `Net(width=4)`."""
        if self.own is not None:
            said = ", ".join(f"{name}={value}" for name, value in self.own_args.items())
            return self.own.rpartition(".")[2] + (f"({said})" if said else "")
        if self.family == "vgg":
            return f"VGG-{self.depth}"
        if self.shortcut == "none":
            name = f"plain-{self.depth}"
        else:
            usual = "A" if self.family == "cifar" else "B" if self.bottleneck else None
            name = f"ResNet-{self.depth}" + ("" if self.shortcut == usual else f" {self.shortcut}")
        if suffix := BLOCKS[self.block].suffix:
            name += f" {suffix}"
        if self.bottleneck and self.stride_on == "3x3":
            name += " v1.5"
        return name
