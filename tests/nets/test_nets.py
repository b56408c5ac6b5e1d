"""The nets against the paper's constants, torchvision's weights, and their own definitions."""

import pytest
import torch
import torchvision
from torch import nn

from lit_resnet.nets import NetConfig, build
from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS, Block, conv
from lit_resnet.probes.complexity import complexity_of
from lit_resnet.probes.responses import responses


def parameters(config: NetConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(config).parameters())


@pytest.mark.parametrize(
    ("depth", "a", "b", "c"),
    [
        (20, 269_722, 272_474, 283_962),
        (32, 464_154, 466_906, 489_594),
        (44, 658_586, 661_338, 695_226),
        (56, 853_018, 855_770, 900_858),
        (110, 1_727_962, 1_730_714, 1_826_202),
    ],
)
def test_cifar_parameters(depth: int, a: int, b: int, c: int):
    assert [parameters(NetConfig(depth=depth, shortcut=s)) for s in ("none", "A", "B", "C")] == [a, a, b, c]


def test_1202_layers():
    assert parameters(NetConfig(depth=1202)) == 19_421_274


@pytest.mark.parametrize(
    ("depth", "shortcut", "count"),
    [
        (18, "B", 11_689_512),
        (34, "B", 21_797_672),
        (50, "B", 25_557_032),
        (101, "B", 44_549_160),
        (152, "B", 60_192_808),
    ],
)
def test_imagenet_parameters(depth: int, shortcut: str, count: int):
    assert parameters(NetConfig("imagenet", depth, shortcut, num_classes=1000)) == count
    assert parameters(NetConfig("imagenet", depth, shortcut, stride_on="3x3", num_classes=1000)) == count


@pytest.mark.parametrize(("depth", "theirs"), [(18, torchvision.models.resnet18), (50, torchvision.models.resnet50)])
def test_torchvision_weights_load_and_give_the_same_logits(depth: int, theirs):
    reference = theirs(weights=None).eval()
    for module in reference.modules():  # fresh BN statistics would hide a wrong BN
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    net = build(NetConfig("imagenet", depth, "B", stride_on="3x3", num_classes=1000)).eval()
    net.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(net(images), reference(images), atol=1e-5, rtol=1e-5)


def test_layers_are_counted_as_the_paper_counts_them():
    for config in (
        NetConfig(depth=56, shortcut="none"),
        NetConfig("imagenet", 34, "A"),
        NetConfig("imagenet", 152, "A"),
    ):
        weighted = [m for m in build(config).modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        assert len(weighted) == config.depth


def test_no_conv_has_a_bias_and_he_init_has_its_variance():
    net = build(NetConfig(depth=20))
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.bias is None for m in convolutions)
    last = convolutions[-1].weight  # 64 x 64 x 3 x 3: enough for a sharp estimate
    assert last.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


def test_a_plain_net_is_its_residual_twin_without_the_shortcuts():
    plain, twin = build(NetConfig(depth=20, shortcut="none")).eval(), build(NetConfig(depth=20, shortcut="A")).eval()
    twin.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(2, 16, 8, 8)
    block, plain_block = twin.layer1[0], plain.layer1[0]
    torch.testing.assert_close(plain_block(x.clone()), torch.relu(block.residual(x.clone())))
    torch.testing.assert_close(block(x.clone()), torch.relu(block.residual(x.clone()) + x))


def test_option_a_subsamples_and_pads_with_zeros():
    block = build(NetConfig(depth=20)).layer2[0]
    x = torch.randn(2, 16, 8, 8)
    y = block.downsample(x)
    assert y.shape == (2, 32, 4, 4)
    torch.testing.assert_close(y[:, :16], x[:, :, ::2, ::2])
    assert y[:, 16:].count_nonzero() == 0


def test_shortcut_options_project_where_the_paper_says():
    def projections(shortcut: str) -> int:
        return sum(
            name.endswith("downsample.0") for name, _ in build(NetConfig("imagenet", 34, shortcut)).named_modules()
        )

    assert (projections("A"), projections("B"), projections("C")) == (0, 3, 3 + 13)


@pytest.mark.parametrize(("stride_on", "first", "second"), [("1x1", (2, 2), (1, 1)), ("3x3", (1, 1), (2, 2))])
def test_the_stride_of_a_bottleneck(stride_on: str, first: tuple, second: tuple):
    block = build(NetConfig("imagenet", 50, "B", stride_on=stride_on)).layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == (first, second)


def test_single_layer_function_has_the_same_layers_and_a_shortcut_around_each():
    net = build(NetConfig(depth=20, block="single"))
    assert parameters(net.config) == 269_722
    assert sum(len(stage) for stage in (net.layer1, net.layer2, net.layer3)) == 18
    x = torch.randn(2, 16, 8, 8)
    block = net.eval().layer1[0]
    torch.testing.assert_close(block(x), torch.relu(block.bn1(block.conv1(x)) + x))


@pytest.mark.parametrize(
    "config", [NetConfig(num_classes=7, in_channels=1), NetConfig("imagenet", 18, "C", num_classes=7)]
)
def test_any_number_of_classes_and_channels(config: NetConfig):
    assert build(config)(torch.randn(2, config.in_channels, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (NetConfig(depth=56, shortcut="none"), "plain-56"),
        (NetConfig(depth=110), "ResNet-110"),
        (NetConfig(depth=20, shortcut="B"), "ResNet-20 B"),
        (NetConfig("imagenet", 34, "B"), "ResNet-34 B"),
        (NetConfig("imagenet", 50, "B"), "ResNet-50"),
        (NetConfig("imagenet", 50, "B", stride_on="3x3"), "ResNet-50 v1.5"),
        (NetConfig("imagenet", 18, "B", stride_on="3x3"), "ResNet-18 B"),
        (NetConfig(depth=20, block="single"), "ResNet-20 single-layer"),
    ],
)
def test_names(config: NetConfig, name: str):
    assert str(config) == name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 21}, "depth is 21: a cifar net has 6n.2 layers; the nearest are 20 and 26"),
        ({"depth": 2}, "depth is 2: .* 8 and 14"),
        ({"family": "imagenet", "depth": 20}, "18, 34, 50, 101 or 152"),
        ({"shortcut": "D"}, "write one of none, A, B, C"),
        ({"block": "single", "shortcut": "none"}, "about shortcuts"),
        ({"block": "single", "family": "imagenet", "depth": 50, "shortcut": "B"}, "bottleneck"),
        ({"num_classes": 0}, "num_classes is 0"),
    ],
)
def test_nets_that_the_paper_does_not_have(values: dict, message: str):
    with pytest.raises(ValueError, match=message):
        NetConfig(**values)


@pytest.mark.parametrize(("depth", "theirs"), [(16, torchvision.models.vgg16), (19, torchvision.models.vgg19)])
def test_vgg_is_torchvisions(depth: int, theirs):
    with torch.device("meta"):
        net, reference = build(NetConfig("vgg", depth, "none", num_classes=1000)), theirs()
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in reference.state_dict().items()}
    assert [type(m) for m in net.modules()][1:] == [type(m) for m in reference.modules()][1:]


@pytest.mark.parametrize(
    "config",
    [
        NetConfig("imagenet", 18, "none"),
        NetConfig("imagenet", 34, "A"),
        NetConfig("imagenet", 50, "B"),
        NetConfig("cifar", 20),
        NetConfig("vgg", 16, "none"),
    ],
    ids=str,
)
def test_the_fully_convolutional_form(config: NetConfig, monkeypatch: pytest.MonkeyPatch):
    """At the size of a training crop it has one position, with the plain form's logits; on larger images several."""
    monkeypatch.setattr("lit_resnet.nets.vgg.WIDTHS", (4, 4, 8, 8, 8))  # spares a second of drawing weights
    net = build(config).double().eval()
    window, per_position = (8, 4) if config.family == "cifar" else (7, 32)
    side = window * per_position
    with torch.inference_mode():
        images = torch.randn(2, 3, side, side, dtype=torch.float64)
        plain, dense = net(images), net.dense(images, window)
        assert dense.shape == (2, 10, 1, 1)
        torch.testing.assert_close(dense[:, :, 0, 0], plain, atol=1e-10, rtol=1e-10)
        larger = torch.randn(1, 3, side + per_position, side + 3 * per_position, dtype=torch.float64)
        assert net.dense(larger, window).shape == (1, 10, 2, 4)


class Wide(Block):
    """Two 3x3 layers, the inner one twice as wide: a block of one's own, as docs/extending says."""

    label = "wide"

    def __init__(self, option: str, c_in: int, width: int, stride: int, stride_on: str) -> None:
        super().__init__(option, c_in, width, stride, stride_on)
        self.conv1, self.bn1 = conv(c_in, 2 * width, 3, stride), torch.nn.BatchNorm2d(2 * width)
        self.conv2, self.bn2 = conv(2 * width, width, 3), torch.nn.BatchNorm2d(width)

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


def subsampled(c_in: int, c_out: int, stride: int) -> torch.nn.Module:
    """A shortcut of one's own."""
    if stride == 1 and c_in == c_out:
        return torch.nn.Identity()
    return torch.nn.Sequential(torch.nn.AvgPool2d(stride), conv(c_in, c_out, 1), torch.nn.BatchNorm2d(c_out))


def test_a_block_and_a_shortcut_are_added_by_an_entry_each(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="block is 'wide': write one of paper, single"):
        NetConfig(depth=8, block="wide")
    monkeypatch.setitem(BLOCKS, "wide", Wide)
    monkeypatch.setitem(SHORTCUTS, "D", subsampled)
    config = NetConfig(depth=8, shortcut="D", block="wide")
    net = build(config)
    assert str(config) == "ResNet-8 D wide"
    assert str(NetConfig(depth=8, shortcut="none", block="wide")) == "plain-8 wide"
    assert sum(isinstance(module, torch.nn.AvgPool2d) for module in net.modules()) == 2
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert len(responses(net, [(torch.rand(2, 3, 32, 32), torch.zeros(2))])) == 7
    assert complexity_of(config, (3, 32, 32)).params > complexity_of(NetConfig(depth=8), (3, 32, 32)).params
