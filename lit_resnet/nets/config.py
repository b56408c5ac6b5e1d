"""The config of a net: what the paper varies, and nothing else."""

from dataclasses import dataclass, field
from typing import Any, Literal

from lit_resnet.errors import check_choice, check_choices, check_range, shown
from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS, Block, Bottleneck, Stacked
from lit_resnet.nets.gates import GATES
from lit_resnet.nets.orders import ORDERS
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
        depth: Weighted layers: 6n+2 for `cifar` (20, 32, 44, 56, 110, 1202), with bottlenecks 9n+2 (164, 1001); 18, 34,
            50, 101 or 152 for `imagenet`; 16 or 19 for `vgg`.
        shortcut: `none` is the plain net; `A` pads with zeros where dimensions increase, `B` projects there, `C`
            projects on every shortcut (Sec. 3.3). The paper uses A on CIFAR-10 and B for 50 layers and more. VGG has
            `none`. Or a name that was added to `lit_resnet.nets.blocks.SHORTCUTS`.
        stride_on: Which layer of a bottleneck halves the map: the first `1x1` (the paper) or the `3x3` (v1.5, as in
            torchvision). Nets without bottlenecks are the same either way.
        block: `paper` is the residual function of that net (two 3x3 layers, or the bottleneck from 50 layers on);
            `single` puts a shortcut around every single 3x3 layer, y = W1 x + x (Sec. 3.2). `bottleneck` is that of the
            paper's deep ImageNet nets in a CIFAR net, as its sequel has it; `highway` the gated layer of highway nets.
            Or a name that was added to `lit_resnet.nets.blocks.BLOCKS`.
        gate: What multiplies shortcut and residual function where they are added (arXiv 1603.05027, Table 1): `none`
            in the paper; `scale` and `half` by constants, `exclusive` and `shortcut` by gates that are learned,
            `dropout`. See `lit_resnet.nets.gates`.
        gate_value: The constant, the initial bias of the gates, or the probability of dropout; None for the gate's
            usual one: 0.5, or a bias of -6.
        order: Where BN and ReLU are in a block (arXiv 1603.05027, Table 2): `paper`, `bn-after` and `relu-before` the
            addition, `relu-only` and `full` pre-activation. See `lit_resnet.nets.orders`.
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
    gate: str = "none"
    gate_value: float | None = None
    order: str = "paper"
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
            says_nothing = {"family": OWN, "depth": 0, "shortcut": "none", "block": "paper"}
            says_nothing |= {"gate": "none", "gate_value": None, "order": "paper"}
            for name, value in says_nothing.items():
                object.__setattr__(self, name, value)  # and so is the same for all such nets
            return
        if self.family == OWN or self.own_args:
            raise ValueError("own is missing: write the dotted path of a class, such as mypackage.Net")
        check_choices(self)
        check_choice("shortcut", self.shortcut, SHORTCUTS)
        check_choice("block", self.block, BLOCKS)
        check_choice("gate", self.gate, ("none", *GATES))
        check_choice("order", self.order, ORDERS)
        if self.depth > MOST_LAYERS:
            raise ValueError(f"depth is {self.depth}: write at most {MOST_LAYERS:,}; the paper's deepest net has 1202")
        layers = 3 * self.block_type.function_layers
        if self.family == "cifar" and (self.depth < layers + 2 or self.depth % layers != 2):
            below = max(layers + 2, (self.depth - 2) // layers * layers + 2)
            with_it = "" if layers == 6 else f" with block {self.block}"
            raise ValueError(
                f"depth is {self.depth}: a cifar net{with_it} has {layers}n+2 layers; the nearest are {below} and "
                f"{below + layers}"
            )
        if self.family == "imagenet" and self.depth not in IMAGENET_BLOCKS:
            raise ValueError(f"depth is {self.depth}: an imagenet net has 18, 34, 50, 101 or 152 layers")
        if self.family == "vgg" and self.depth not in VGG_CONVOLUTIONS:
            raise ValueError(f"depth is {self.depth}: a vgg net has 16 or 19 layers")
        if self.family == "vgg" and self.shortcut != "none":
            raise ValueError(f"shortcut is {self.shortcut}: a vgg net has no shortcuts; write none")
        self._check_block()
        self._check_gate()

    def _check_block(self) -> None:
        kind = BLOCKS[self.block]
        if self.family not in kind.families:
            families = " or ".join(kind.families)
            raise ValueError(f"block is {self.block}, which nets of family {self.family} cannot have ({families} can)")
        if not kind.plain and self.shortcut == "none":
            raise ValueError(
                f"block is {self.block}, which is about shortcuts: write shortcut A, B or C, or block paper"
            )
        if kind.bottleneck is None and self._deep:
            raise ValueError(
                f"block is {self.block}, which bottleneck nets ({self.depth} layers) cannot have: write 18 or 34 layers"
            )
        for name, value in kind.fixed.items():
            given, usual = getattr(self, name), NetConfig.__dataclass_fields__[name].default
            if given not in (usual, value):
                raise ValueError(f"{name} is {given}: block {self.block} has {name} {value}; leave it out")
            object.__setattr__(self, name, value)
        if self.order != "paper" and (self.family == "vgg" or not issubclass(self.block_type, Stacked)):
            which = "a vgg net" if self.family == "vgg" else f"block {self.block}"
            raise ValueError(f"order is {self.order}: {which} has one of its own; leave it out")

    def _check_gate(self) -> None:
        if self.gate == "none":
            if self.gate_value is not None:
                raise ValueError(f"gate_value is {self.gate_value}, and gate is none: write one of {', '.join(GATES)}")
            return
        if self.shortcut == "none":
            raise ValueError(f"gate is {self.gate}, which is about shortcuts: write shortcut A, B or C, or gate none")
        if self.block_type.forward is not Block.forward:
            raise ValueError(f"gate is {self.gate}: block {self.block} adds in a forward pass of its own; leave it out")
        kind = GATES[self.gate]
        check_range("gate_value", self.gate_number, kind.least, kind.most)

    @property
    def gate_number(self) -> float:
        """The number that belongs to the gate, if there is a gate."""
        return GATES[self.gate].default if self.gate_value is None else self.gate_value

    @property
    def _deep(self) -> bool:
        """Whether it is one of the ImageNet nets that the paper makes of bottlenecks."""
        return self.family == "imagenet" and self.depth >= 50

    @property
    def bottleneck(self) -> bool:
        """Whether the residual functions are bottlenecks (Fig. 5 right)."""
        return self._deep or issubclass(self.block_type, Bottleneck)

    @property
    def block_type(self) -> type[Block]:
        """The class of its blocks; not used for `vgg`."""
        kind = BLOCKS[self.block]
        return kind.bottleneck if self._deep and kind.bottleneck else kind.basic

    @property
    def stages(self) -> tuple[int, ...]:
        """Residual functions (pairs of layers, or bottlenecks) in each stage; convolutions in each stage of `vgg`."""
        if self.family == "cifar":
            return ((self.depth - 2) // (3 * self.block_type.function_layers),) * 3
        if self.family == "vgg":
            return VGG_CONVOLUTIONS[self.depth]
        return IMAGENET_BLOCKS[self.depth]

    def __str__(self) -> str:
        """The paper's name: `plain-56`, `ResNet-110`, `ResNet-34 B`, `ResNet-50`, `VGG-16`; or `Net(width=4)`.

        What is not the paper's follows: `ResNet-110 shortcut gate -6`, `ResNet-164 bottleneck pre-activation`.
        """
        if self.own is not None:
            said = ", ".join(f"{name}={value}" for name, value in self.own_args.items())
            return self.own.rpartition(".")[2] + (f"({said})" if said else "")
        if self.family == "vgg":
            return f"VGG-{self.depth}"
        kind = BLOCKS[self.block]
        usual = "B" if self.bottleneck else "A" if self.family == "cifar" else None
        words = [f"plain-{self.depth}" if self.shortcut == "none" else f"{kind.name}-{self.depth}"]
        words += [] if self.shortcut in ("none", usual) else [self.shortcut]
        words += [kind.suffix, ORDERS[self.order].label if "order" not in kind.fixed else ""]
        if self.gate != "none" and "gate" not in kind.fixed:
            words.append(GATES[self.gate].label.format(self.gate_number))
        elif self.gate != "none" and self.gate_number != GATES[self.gate].default:  # one that goes without saying
            words.append(f"{self.gate_number:g}")
        words += ["v1.5"] if self.bottleneck and self.stride_on == "3x3" else []
        return " ".join(filter(None, words))
