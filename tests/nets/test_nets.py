"""The nets against the paper's constants, torchvision's weights, and their own definitions."""

from pathlib import Path

import pytest
import torch
import torchvision
from extending import Add
from torch import nn

from lit_resnet.cli import main
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.anatomy import anatomy
from lit_resnet.probes.complexity import complexity
from lit_resnet.probes.responses import responses
from lit_resnet.runfolder import diagrams
from lit_resnet.runfolder.folder import RunFolder


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


def test_a_block_and_a_shortcut_are_added_as_the_docs_say(add: Add, tmp_path: Path, one_thread: None):
    add("A block")
    add("A shortcut")
    config = NetConfig(depth=20, block="wide", shortcut="D")
    net = build(config)
    assert str(config) == "ResNet-20 D wide"
    assert [name for name, _ in net.layers()][:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert len(responses(net, [(torch.randn(2, 3, 16, 16), torch.zeros(2))])) == 1 + 9 * 2
    assert [layer.kind for layer in anatomy(net, (3, 32, 32)).layers].count("conv") == 1 + 9 * 2
    assert complexity(net, (3, 32, 32)).params > 2 * parameters(NetConfig(depth=20)) - 1000
    with pytest.raises(ValueError, match="cannot have: write 18 or 34"):
        NetConfig("imagenet", 50, "B", block="wide")
    with pytest.raises(ValueError, match="write one of none, A, B, C, D"):
        NetConfig(shortcut="d")
    trainer = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "default_root_dir": tmp_path}
    options = [f"--trainer.{key}={value}" for key, value in trainer.items()]
    assert (
        main(
            [
                "fit",
                "--data.source=digits",
                "--model.net.depth=8",
                "--model.net.block=wide",
                "--model.net.shortcut=D",
                *options,
            ]
        )
        == 0
    )
    summary = RunFolder(tmp_path).summary()
    assert summary is not None
    assert summary.net == "ResNet-8 D wide"
    kinds = diagrams.read(tmp_path)
    assert [diagram.count for diagram in kinds] == [1, 2]
    assert [step.words for step in kinds[1].steps][-4:] == ["1x1, 32", "BN", "+", "ReLU"]


def test_a_convolution_without_its_bn_is_told_and_not_paired_with_another(add: Add):
    net = build(NetConfig(depth=8, block="paper"))
    block = net.layer1[0]
    block.norm2 = block.bn2
    del block.bn2
    with pytest.raises(AttributeError, match="bn2"):
        list(net.layers())
