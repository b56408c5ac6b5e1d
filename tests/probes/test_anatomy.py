"""Anatomies: of the paper's nets, and of nets that are not built as they should be."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
import torchvision
from torch import Tensor, nn

from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.probes.anatomy import Anatomy, Layer, Shortcut, anatomy, anatomy_of
from lit_resnet.probes.complexity import complexity

IMAGE = (3, 224, 224)


def bare(depth: int = 34, shortcut: str = "A", family: str = "imagenet", **options) -> Net:
    """A net without weights."""
    with torch.device("meta"):
        return build(NetConfig(family, depth, shortcut, num_classes=1000, **options))


@cache
def read(*args, **options) -> Anatomy:
    return anatomy(bare(*args, **options), IMAGE)


def outline(net: Anatomy) -> list[tuple[int, int, int, int]]:
    """Kernel, width, stride and map of each layer."""
    return [(layer.kernel[0], layer.width, layer.stride, layer.map[0]) for layer in net.layers]


def test_the_34_layer_residual_net():
    net = read()
    stages = [(64, 56, 6, 1), (128, 28, 8, 2), (256, 14, 12, 2), (512, 7, 6, 2)]  # Fig. 3
    convolutions = [
        (3, width, stride if i == 0 else 1, side) for width, side, layers, stride in stages for i in range(layers)
    ]
    assert outline(net) == [(7, 64, 2, 112), (3, 64, 2, 56), *convolutions, (7, 512, 7, 1), (1, 1000, 1, 1)]
    kinds = [layer.kind for layer in net.layers]
    assert kinds == ["conv", "max pool", *["conv"] * 32, "avg pool", "fc"]
    weights = 3 * 64 * 7 * 7
    first = Layer("conv", (7, 7), 64, 2, (112, 112), weights + 2 * 64, weights * 112**2, ("BatchNorm2d", "ReLU"))
    assert net.layers[0] == first
    assert [(s.start, s.end) for s in net.shortcuts] == [(end - 2, end) for end in range(3, 34, 2)]
    assert {(s.end, s.stride) for s in net.shortcuts if s.kind == "zero-padding"} == {(9, 2), (17, 2), (29, 2)}
    assert {s.kind for s in net.shortcuts if s.end not in (9, 17, 29)} == {"identity"}
    assert net.depth == 34
    assert net.macs == 3_644_493_824


def test_a_plain_net_is_the_residual_one_without_shortcuts():
    plain, residual = read(shortcut="none"), read()
    assert plain == Anatomy(residual.layers, ())


def test_vgg():
    net = read(19, "none", "vgg")
    stages = [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)]
    kinds = [kind for _, layers in stages for kind in ["conv"] * layers + ["max pool"]]
    assert [layer.kind for layer in net.layers] == [
        *kinds,
        "fc",
        "fc",
        "fc",
    ]  # at 224x224 its average pool does nothing
    assert [layer.map[0] for layer in net.layers if layer.kind == "max pool"] == [112, 56, 28, 14, 7]
    assert [layer.width for layer in net.layers if layer.kind == "fc"] == [4096, 4096, 1000]


def test_projections_are_shortcuts_and_no_layers():
    nets = {option: read(18, option) for option in "ABC"}
    kinds = {option: [s.kind for s in net.shortcuts] for option, net in nets.items()}
    assert kinds["B"] == ["projection" if kind == "zero-padding" else kind for kind in kinds["A"]]
    assert kinds["C"] == ["projection"] * 8
    assert nets["A"].layers == nets["B"].layers == nets["C"].layers
    first, second = read(50, "B").shortcuts[2:4]
    assert first == Shortcut(7, 10, "identity", 1, 0)
    assert second == Shortcut(10, 13, "projection", 2, 256 * 512 + 2 * 512, 256 * 512 * 28**2)


@pytest.mark.parametrize(
    ("depth", "shortcut", "options"),
    [(18, "C", {}), (50, "B", {}), (101, "none", {}), (18, "C", {"block": "single"}), (19, "none", {"family": "vgg"})],
)
def test_no_parameter_and_no_multiply_add_is_left_out(depth: int, shortcut: str, options: dict[str, str]):
    module = bare(depth, shortcut, **options)
    net = anatomy(module, IMAGE)
    parts = [*net.layers, *net.shortcuts]
    assert sum(part.params for part in parts) == sum(p.numel() for p in module.parameters())
    assert net.depth == depth
    beside = 1 if depth == 19 else 2  # VGG's layers have a bias, the others scale and shift of BN
    fc = sum(layer.params - layer.width for layer in net.layers if layer.kind == "fc")
    convolutions = [(layer.params, layer) for layer in net.layers if layer.kind == "conv"]
    convolutions += [(s.params, net.layers[s.end]) for s in net.shortcuts if s.kind == "projection"]
    macs = sum((params - beside * at.width) * at.map[0] * at.map[1] for params, at in convolutions)
    assert net.macs == macs + fc
    assert (net.params, net.macs) == (complexity(module, IMAGE).params, complexity(module, IMAGE).macs)


def test_what_follows_a_layer():
    net = read()
    assert {layer.followed_by for layer in net.layers if layer.kind == "conv"} == {("BatchNorm2d", "ReLU")}
    assert [layer.followed_by for layer in read(19, "none", "vgg").layers[-3:]] == [("ReLU", "Dropout")] * 2 + [()]


def test_a_net_of_a_config_is_read_once():
    config = NetConfig("imagenet", 34, "A", num_classes=1000)
    assert anatomy_of(config, IMAGE) is anatomy_of(config, IMAGE)
    assert anatomy_of(config, IMAGE) == read()


def test_shortcuts_around_single_layers():
    net = read(18, "C", block="single")
    assert [(s.start, s.end, s.kind) for s in net.shortcuts] == [(i, i + 1, "projection") for i in range(1, 17)]
    assert {layer.kernel for layer in net.layers[2:18]} == {(3, 3)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: bare(50, "B", stride_on="3x3"), torchvision.models.resnet50),
        (lambda: bare(19, "none", "vgg"), torchvision.models.vgg19),
    ],
)
def test_nets_of_others_can_be_read(ours: Callable[[], nn.Module], theirs: Callable[[], nn.Module]):
    with torch.device("meta"):
        net = theirs()
    assert anatomy(net, IMAGE) == anatomy(ours(), IMAGE)


def shorten(net: Net) -> None:
    net.layer2 = net.layer2[:-1]


def move_stride(net: Net) -> None:
    first, second = net.layer3[0], net.layer3[1]
    first.conv1.stride, first.downsample = (1, 1), nn.Conv2d(128, 256, 1, bias=False, device="meta")
    second.conv1.stride, second.downsample = (2, 2), nn.Conv2d(256, 256, 1, 2, bias=False, device="meta")


def widen(net: Net) -> None:
    block = net.layer1[1]
    block.conv1, block.bn1 = nn.Conv2d(64, 96, 3, padding=1, bias=False), nn.BatchNorm2d(96)
    block.conv2 = nn.Conv2d(96, 64, 3, padding=1, bias=False)


def cut(net: Net) -> None:
    net.layer4[1].downsample = None


def test_a_net_that_is_built_wrong_has_another_anatomy():
    right = read()
    wrong = {}
    for mistake in (shorten, move_stride, widen, cut):
        net = bare()
        mistake(net)
        wrong[mistake] = anatomy(net, IMAGE)
    assert wrong[shorten].depth == 32
    assert len(wrong[shorten].shortcuts) == 15
    assert [i for i, (a, b) in enumerate(zip(outline(wrong[move_stride]), outline(right), strict=True)) if a != b] == [
        *(16, 17, 18)
    ]
    assert [s.stride for s in wrong[move_stride].shortcuts[7:9]] == [1, 2]
    assert outline(wrong[widen])[4] == (3, 96, 1, 56)
    assert wrong[cut].layers == right.layers
    assert wrong[cut].shortcuts == right.shortcuts[:14] + right.shortcuts[15:]


class Joined(nn.Module):
    """Two paths from the image, joined by a function."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], shortcut: nn.Module) -> None:
        super().__init__()
        self.join, self.shortcut = join, shortcut
        self.layers = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)  # before the layers, which must make no difference
        return self.join(self.layers(x), shortcut)


def test_a_projection_that_runs_first():
    net = anatomy(Joined(torch.add, nn.Conv2d(3, 3, 1)), (3, 8, 8))
    assert net.shortcuts == (Shortcut(-1, 1, "projection", 1, 12, 9 * 8**2),)
    assert len(net.layers) == 2


@pytest.mark.parametrize(
    ("join", "shortcut", "message"),
    [
        (torch.sub, nn.Identity(), "sub: paths meet there, and are neither added nor multiplied"),
        (torch.mul, nn.Identity(), "mul: paths meet there and are multiplied, and neither is the sigmoid"),
        (
            torch.mul,
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid()),
            "shortcut_0: the gate that it opens belongs to no",
        ),
        (
            torch.mul,
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Sigmoid()),
            "shortcut_1: no gate of one convolution",
        ),
        (torch.add, nn.Conv2d(3, 3, 3, padding=1), "add: neither path that is added there is a shortcut"),
        (torch.add, nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)), "add: neither path"),
    ],
)
def test_what_is_no_shortcut_of_the_paper(join: Callable[[Tensor, Tensor], Tensor], shortcut: nn.Module, message: str):
    with pytest.raises(ValueError, match=message):
        anatomy(Joined(join, shortcut), (3, 8, 8))


class Gated(nn.Module):
    """Two of these around the shortcut s and the residual function F, both of the image: y = a(s) + b(F)."""

    def __init__(self, a: str, b: str = "", order: str = "", size: int = 1) -> None:
        super().__init__()
        self.a, self.b, self.order = a, b, order
        self.first, self.norm, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.conv, self.gate = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, size, padding=size // 2)
        self.dropout = nn.Dropout(0.5)

    def scaled(self, by: str, value: Tensor, g: Tensor) -> Tensor:
        """The value, multiplied by what `by` says."""
        match by:
            case "constant":
                return 0.5 * value
            case "dropout":
                return self.dropout(value)
            case "g":
                return value * g
            case "1 - g":
                return (1 - g) * value
        return value

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        g = torch.sigmoid(self.gate(x)) if "g" in self.a + self.b else x
        inner = self.relu(self.norm(x)) if self.order == "before" else x
        inner = self.conv(inner)
        if self.order == "inside":
            inner = self.relu(self.norm(inner))
        y = self.scaled(self.a, x, g) + self.scaled(self.b, inner, g)
        return self.relu(self.norm(y)) if self.order == "after" else y


@pytest.mark.parametrize(
    ("a", "b", "size", "factor"),
    [
        ("", "", 1, ""),
        ("constant", "", 1, "constant"),
        ("constant", "constant", 1, "constant"),
        ("1 - g", "g", 1, "gate"),
        ("1 - g", "g", 3, "gate"),
        ("1 - g", "", 1, "gate"),
        ("g", "1 - g", 1, "gate"),
        ("dropout", "", 1, "dropout"),
    ],
)
def test_what_a_shortcut_is_multiplied_by(a: str, b: str, size: int, factor: str):
    module = Gated(a, b, size=size)
    weights = 16 * size**2 if factor == "gate" else 0
    module.gate = module.gate if weights else nn.Identity()
    module.norm = nn.Identity()
    net = anatomy(module, (3, 8, 8))
    assert net.shortcuts == (Shortcut(0, 1, "identity", 1, weights + (4 if weights else 0), weights * 64, factor),)
    assert [layer.kernel for layer in net.layers] == [(3, 3)] * 2
    assert (net.params, net.macs) == (complexity(module, (3, 8, 8)).params, complexity(module, (3, 8, 8)).macs)


CIFAR = (3, 32, 32)
BN, BN_RELU = ("BatchNorm2d",), ("BatchNorm2d", "ReLU")


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({}, ""),
        ({"gate": "scale"}, "constant"),
        ({"gate": "half"}, "constant"),
        ({"gate": "dropout"}, "dropout"),
        ({"gate": "exclusive"}, "gate"),
        ({"gate": "shortcut", "shortcut": "C"}, "gate"),
        ({"block": "highway"}, "gate"),
        ({"block": "bottleneck", "shortcut": "B", "gate": "shortcut", "order": "full"}, "gate"),
    ],
)
def test_nets_with_gates(options: dict[str, str], factor: str):
    with torch.device("meta"):
        module = build(NetConfig(depth=20, **options))
        alone = build(NetConfig(depth=20, **{k: v for k, v in options.items() if k in ("block", "shortcut", "order")}))
    net = anatomy(module, CIFAR)
    counted = complexity(module, CIFAR)
    assert (net.params, net.macs, net.depth) == (counted.params, counted.macs, 20)
    assert {shortcut.factor for shortcut in net.shortcuts} == {factor}
    assert outline(net) == outline(anatomy(alone, CIFAR))
    added = [s for s in net.shortcuts if s.kind == "zero-padding"]
    assert [s.stride for s in added] == ([] if "shortcut" in options else [2, 2])


@pytest.mark.parametrize(
    ("order", "of_block"),  # of each of its two layers, what it is preceded and followed by
    [
        ("paper", [((), BN_RELU), ((), BN_RELU)]),
        ("bn-after", [((), BN_RELU), ((), BN_RELU)]),
        ("relu-before", [((), BN_RELU), ((), BN_RELU)]),
        ("relu-only", [(("ReLU",), BN_RELU), ((), BN)]),
        ("full", [(BN_RELU, BN_RELU), ((), ())]),
    ],
)
def test_nets_with_other_orders(order: str, of_block: list[tuple[tuple[str, ...], tuple[str, ...]]]):
    with torch.device("meta"):
        module = build(NetConfig(depth=20, shortcut="B", order=order))
    net = anatomy(module, CIFAR)
    around = [(layer.preceded_by, layer.followed_by) for layer in net.layers]
    assert around[3:5] == of_block
    assert net.layers[0].followed_by == BN_RELU  # and the special last unit of pre-activation ends like the others
    assert net.layers[18].followed_by == BN_RELU
    assert [(s.start, s.end) for s in net.shortcuts] == [(i, i + 2) for i in range(0, 18, 2)]
    assert net.params == complexity(module, CIFAR).params


@pytest.mark.parametrize(
    ("order", "preceded", "followed"),
    [
        ("before", ("BatchNorm2d", "ReLU"), ()),
        ("inside", (), ("BatchNorm2d", "ReLU")),
        ("after", (), ("BatchNorm2d", "ReLU")),
    ],
)
def test_bn_and_relu_belong_to_the_layer_on_their_side_of_the_split(
    order: str, preceded: tuple[str, ...], followed: tuple[str, ...]
):
    module = Gated("", order=order)
    module.gate = nn.Identity()
    net = anatomy(module, (3, 8, 8))
    first, second = net.layers
    assert (first.preceded_by, first.followed_by) == ((), ())
    assert (second.preceded_by, second.followed_by) == (preceded, followed)
    assert second.params == 4 * 4 * 9 + 4 + 2 * 4
    assert [(s.start, s.end, s.params) for s in net.shortcuts] == [(0, 1, 0)]
    assert net.params == complexity(module, (3, 8, 8)).params


def test_the_net_is_not_touched():
    net = build(NetConfig(depth=8)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert anatomy(net, (3, 32, 32)).depth == 8
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
