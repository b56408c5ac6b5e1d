"""Blocks taken out of nets: exactly their residual functions, for a while, and no weight changes."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, ResNet, build
from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS, Basic, Kind, Stacked, conv, option_a
from lit_resnet.probes.lesions import places, removed

SIDE = {"cifar": 9, "imagenet": 40}  # odd maps, too


class Late(Basic):
    """A block of a user's own, whose shortcut is weighted and whose output passes BN."""

    def __init__(self, config: NetConfig, c_in: int, width: int, stride: int) -> None:
        super().__init__(config, c_in, width, stride)
        self.share, self.last = nn.Parameter(torch.tensor(0.7)), nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """BN(share * shortcut(x) + F(x)), and no ReLU."""
        return self.last(self.share * self.downsample(x) + self.residual(x))


class Elsewhere(Basic):
    """A block that says its F in forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As a Basic, by another way."""
        return self.relu(Basic.residual(self, x) + self.downsample(x))


def averaged(c_in: int, c_out: int, stride: int) -> nn.Module:
    """A shortcut of a user's own."""
    return nn.Sequential(nn.AvgPool2d(stride, ceil_mode=True), conv(c_in, c_out, 1))


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BLOCKS, "late", Kind(Late))
    monkeypatch.setitem(BLOCKS, "elsewhere", Kind(Elsewhere))
    monkeypatch.setitem(SHORTCUTS, "D", averaged)


def trained(config: NetConfig) -> tuple[ResNet, torch.Tensor]:
    """A net with statistics and weights that are those of no fresh net, in float64, and images."""
    generator = torch.Generator().manual_seed(0)
    net = build(config).double().eval()
    assert isinstance(net, ResNet)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in (
                (module.weight, 0.5),
                (module.running_var, 0.5),
                (module.bias, -1),
                (module.running_mean, -1),
            ):
                values.data.uniform_(low, 1.5, generator=generator)
    side = SIDE[config.family]
    return net, torch.randn(3, config.in_channels, side, side, generator=generator, dtype=torch.float64)


def without(net: ResNet, name: str) -> ResNet:
    """A copy of a net in which a block has an F of zeros, or in which option A is in the place of a plain block."""
    net = copy.deepcopy(net)
    block = net.get_submodule(name)
    assert isinstance(block, Stacked)
    *_, last = (block.get_submodule(step) for step in block.steps if step != "relu")
    if block.downsample is None:
        layers = [child for child in block.children() if isinstance(child, nn.Conv2d)]
        stage, _, number = name.partition(".")
        stride = max(layer.stride[0] for layer in layers)
        net.get_submodule(stage)[int(number)] = option_a(layers[0].in_channels, layers[-1].out_channels, stride)
    else:
        for weight in last.parameters():
            weight.data.zero_()
    return net


@pytest.mark.parametrize(
    "net",
    [
        {"depth": 14},
        {"depth": 14, "shortcut": "none"},
        {"depth": 14, "shortcut": "C"},
        {"depth": 14, "shortcut": "D"},
        {"depth": 8, "block": "single"},
        {"depth": 14, "block": "late"},
        {"depth": 14, "gate": "exclusive", "gate_value": -1.0},
        {"depth": 14, "gate": "scale", "order": "relu-before"},
        {"depth": 14, "order": "bn-after"},
        {"depth": 14, "order": "full", "shortcut": "B"},
        {"depth": 14, "order": "full", "shortcut": "none"},
        {"depth": 11, "block": "bottleneck", "order": "relu-only"},
        {"depth": 8, "block": "highway"},
        {"family": "imagenet", "depth": 18, "shortcut": "none"},
        {"family": "imagenet", "depth": 50, "shortcut": "B", "stride_on": "3x3"},
        {"family": "imagenet", "depth": 50, "shortcut": "none"},
    ],
    ids=lambda net: " ".join(map(str, net.values())),
)
@torch.inference_mode()
def test_a_block_is_removed_exactly(net: dict[str, Any]):
    net, images = trained(NetConfig(**net))
    whole, weights = net(images), copy.deepcopy(net.state_dict())
    blocks = places(net, images[:1])
    assert [block.name for block in blocks] == [name for name, _ in net.blocks()]
    for block in (blocks[0], blocks[1], next(b for b in blocks[1:] if not b.keeps), blocks[-1]):
        with removed([block]):
            found = net(images)
        assert torch.equal(found, without(net, block.name)(images)), block.name
        assert not torch.allclose(found, whole)
    with removed(blocks[1:3]):
        both = net(images)
    assert torch.equal(both, without(without(net, blocks[1].name), blocks[2].name)(images))
    assert torch.equal(net(images), whole)
    assert all(torch.equal(weights[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks or "residual" in vars(module) for module in net.modules())


def test_which_blocks_keep_dimensions():
    changing = {
        NetConfig(depth=20): ["layer2.0", "layer3.0"],
        NetConfig("imagenet", 34): ["layer2.0", "layer3.0", "layer4.0"],
        NetConfig("imagenet", 50, "B"): ["layer1.0", "layer2.0", "layer3.0", "layer4.0"],  # 64 channels, and 256
    }
    for config, names in changing.items():
        net, images = trained(config)
        assert [block.name for block in places(net, images) if not block.keeps] == names


def test_a_net_is_whole_again_after_an_error_and_a_block_without_residual_is_refused():
    net, images = trained(NetConfig(depth=8))
    first = places(net, images)[:1]
    with pytest.raises(ZeroDivisionError), removed(first):
        raise ZeroDivisionError
    assert "residual" not in vars(first[0].block)
    net, images = trained(NetConfig(depth=8, block="elsewhere"))
    words = r"^layer1\.0: Elsewhere does not call its residual\(\)"
    with pytest.raises(InputError, match=words), removed(places(net, images)[:1]):
        net(images)
