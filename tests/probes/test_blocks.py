"""Blocks as values: every step of every variant, and of blocks that are not built as they should be."""

from typing import Any

import pytest
import torch
import torchvision
from extending import Add
from torch import Tensor, nn

from lit_resnet.errors import InputError
from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.nets.blocks import BLOCKS, Block, Kind
from lit_resnet.probes.blocks import diagrams
from lit_resnet.runfolder.diagrams import Diagram

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)


def bare(**options: Any) -> Net:
    """A net without weights, of 20 layers unless said otherwise."""
    with torch.device("meta"):
        return build(NetConfig(**{"depth": 20} | options))


def said(diagram: Diagram) -> str:
    """The words of each step, and in brackets the steps that it takes where these are not the one before alone."""
    words = []
    for place, step in enumerate(diagram.steps):
        before = step.takes == (place - 1,) or step.kind == "input"
        words.append(step.words if before else f"{step.words} {list(step.takes)}")
    return " > ".join(words)


def of(**options: Any) -> dict[str, int]:
    """The kinds of blocks of a net, and how many there are of each."""
    return {said(diagram): diagram.count for diagram in diagrams(bare(**options), CIFAR)}


BASIC = "16-d > 3x3, 16 > BN > ReLU > 3x3, 16 > BN"
WIDER = "16-d > 3x3, 32, /2 > BN > ReLU > 3x3, 32 > BN"
PADDED = "zero-padding, 32, /2 [0]"


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"shortcut": "none"}, {f"{BASIC} > ReLU": 7, f"{WIDER} > ReLU": 2}),
        ({}, {f"{BASIC} > + [5, 0] > ReLU": 7, f"{WIDER} > {PADDED} > + [5, 6] > ReLU": 2}),
        (
            {"shortcut": "B"},
            {f"{BASIC} > + [5, 0] > ReLU": 7, f"{WIDER} > 1x1, 32, /2 [0] > BN > + [5, 7] > ReLU": 2},
        ),
        (
            {"shortcut": "C"},
            {
                f"{BASIC} > 1x1, 16 [0] > BN > + [5, 7] > ReLU": 7,
                f"{WIDER} > 1x1, 32, /2 [0] > BN > + [5, 7] > ReLU": 2,
            },
        ),
        (
            {"block": "single"},
            {
                "16-d > 3x3, 16 > BN > + [2, 0] > ReLU": 16,
                f"16-d > 3x3, 32, /2 > BN > {PADDED} > + [2, 3] > ReLU": 2,
            },
        ),
        (
            {"gate": "scale"},
            {
                f"{BASIC} > × 0.5 [0] > + [6, 5] > ReLU": 7,
                f"{WIDER} > {PADDED} > × 0.5 > + [7, 5] > ReLU": 2,
            },
        ),
        (
            {"gate": "half", "gate_value": 0.25},
            {
                f"{BASIC} > × 0.25 [0] > × 0.75 [5] > + [6, 7] > ReLU": 7,
                f"{WIDER} > {PADDED} > × 0.25 > × 0.75 [5] > + [7, 8] > ReLU": 2,
            },
        ),
        (
            {"gate": "exclusive"},
            {
                f"{BASIC} > 1x1, 16 [0] > sigmoid > 1 − > × [8, 0] > × [7, 5] > + [9, 10] > ReLU": 7,
                f"{WIDER} > {PADDED} > 1x1, 32, /2 [0] > sigmoid > 1 − > × [9, 6] > × [8, 5] > + [10, 11] > ReLU": 2,
            },
        ),
        (
            {"gate": "shortcut"},
            {
                f"{BASIC} > 1x1, 16 [0] > sigmoid > 1 − > × [8, 0] > + [9, 5] > ReLU": 7,
                f"{WIDER} > {PADDED} > 1x1, 32, /2 [0] > sigmoid > 1 − > × [9, 6] > + [10, 5] > ReLU": 2,
            },
        ),
        (
            {"gate": "dropout"},
            {
                f"{BASIC} > dropout 0.5 [0] > + [6, 5] > ReLU": 7,
                f"{WIDER} > {PADDED} > dropout 0.5 > + [7, 5] > ReLU": 2,
            },
        ),
        (
            {"order": "bn-after", "shortcut": "B"},
            {
                "16-d > 3x3, 16 > BN > ReLU > 3x3, 16 > + [4, 0] > BN > ReLU": 7,
                "16-d > 3x3, 32, /2 > BN > ReLU > 3x3, 32 > 1x1, 32, /2 [0] > BN > + [4, 6] > BN > ReLU": 2,
            },
        ),
        (
            {"order": "relu-before"},
            {f"{BASIC} > ReLU > + [6, 0]": 7, f"{WIDER} > ReLU > {PADDED} > + [6, 7]": 2},
        ),
        (
            {"order": "relu-only"},
            {
                f"{BASIC} > + [5, 0]": 1,  # the first one, whose ReLU is that of the first convolution
                "16-d > ReLU > 3x3, 16 > BN > ReLU > 3x3, 16 > BN > + [6, 0]": 6,
                f"16-d > ReLU > 3x3, 32, /2 > BN > ReLU > 3x3, 32 > BN > {PADDED} > + [6, 7]": 2,
            },
        ),
        (
            {"order": "full"},
            {
                "16-d > 3x3, 16 > BN > ReLU > 3x3, 16 > + [4, 0]": 1,
                "16-d > BN > ReLU > 3x3, 16 > BN > ReLU > 3x3, 16 > + [6, 0]": 6,
                f"16-d > BN > ReLU > 3x3, 32, /2 > BN > ReLU > 3x3, 32 > {PADDED} > + [6, 7]": 2,
            },
        ),
        (
            {"block": "highway"},
            {
                "16-d > 3x3, 16 > BN > ReLU > 3x3, 16 [0] > sigmoid > 1 − > × [6, 0] > × [5, 3] > + [7, 8]": 16,
                f"16-d > 3x3, 32, /2 > BN > ReLU > {PADDED} > 3x3, 32, /2 [0] > sigmoid > 1 − > × [7, 4] > × [6, 3] "
                "> + [8, 9]": 2,
            },
        ),
    ],
)
def test_the_steps_of_every_variant(options: dict[str, Any], kinds: dict[str, int]):
    assert of(**options) == kinds


def test_bottlenecks_with_a_projection_after_the_activation():
    first, usual, wider = diagrams(bare(block="bottleneck", shortcut="B", order="full"), CIFAR)
    assert said(first) == "16-d > 1x1, 16 > BN > ReLU > 3x3, 16 > BN > ReLU > 1x1, 64 > 1x1, 64 [0] > + [7, 8]"
    assert (first.count, usual.count, wider.count) == (1, 3, 2)
    assert said(wider) == (
        "64-d > BN > ReLU > 1x1, 32, /2 > BN > ReLU > 3x3, 32 > BN > ReLU > 1x1, 128 > 1x1, 128, /2 [2] > + [9, 10]"
    )


def test_nets_of_others():
    with torch.device("meta"):
        theirs, mobile, vgg = (
            torchvision.models.resnet50(),
            torchvision.models.mobilenet_v2(),
            torchvision.models.vgg11(),
        )
    ours = bare(family="imagenet", depth=50, shortcut="B", stride_on="3x3", num_classes=1000)
    assert diagrams(theirs, IMAGENET) == diagrams(ours, IMAGENET)
    assert said(diagrams(mobile, IMAGENET)[0]) == (
        "24-d > 1x1, 144 > BN > ReLU6 > 3x3 depthwise, 144 > BN > ReLU6 > 1x1, 24 > BN > + [0, 8]"
    )
    assert diagrams(vgg, IMAGENET) == ()
    args = {"block": torchvision.models.resnet.Bottleneck, "layers": [3, 4, 6, 3]}
    assert diagrams(bare(own="torchvision.models.ResNet", own_args=args), IMAGENET) == diagrams(ours, IMAGENET)


def test_a_block_that_is_built_wrong_is_another_diagram():
    net = bare(shortcut="none")
    net.get_submodule("layer1.1").bn2 = nn.Identity()
    kinds = {said(diagram): diagram.count for diagram in diagrams(net, CIFAR)}
    assert kinds == {
        f"{BASIC} > ReLU": 6,
        "16-d > 3x3, 16 > BN > ReLU > 3x3, 16 > ReLU": 1,
        f"{WIDER} > ReLU": 2,
    }


def test_a_block_and_a_shortcut_of_ones_own(add: Add):
    add("A block")
    add("A shortcut")
    first, second = diagrams(bare(block="wide", shortcut="D"), CIFAR)
    assert said(first) == "16-d > 3x3, 32 > BN > ReLU > 3x3, 16 > BN > + [5, 0] > ReLU"
    assert said(second) == (
        "16-d > 3x3, 64, /2 > BN > ReLU > 3x3, 32 > BN > avg pool 2x2, /2 [0] > 1x1, 32 > BN > + [5, 8] > ReLU"
    )


class Squeezed(Block):
    """A block with a gate around F, a weight that scales it, and what is of no matter to the output."""

    def __init__(self, config: NetConfig, c_in: int, width: int, stride: int) -> None:
        super().__init__(config, c_in, width, stride)
        self.conv = nn.Conv2d(c_in, width, 3, stride, 1)
        self.pool, self.open = nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1)
        self.gamma = nn.Parameter(torch.ones(1))

    def residual(self, x: Tensor) -> Tensor:
        """F(x) times the sigmoid of a 1x1 convolution of its average."""
        y = self.conv(x)
        _ = y.sum() + x.shape[0]
        return self.gamma * (y * torch.sigmoid(self.open(self.pool(y))))


class Choosing(Block):
    """A block whose steps depend on values."""

    def residual(self, x: Tensor) -> Tensor:
        """Nothing that could be drawn."""
        return x if x.mean() > 0 else -x


class Twice(nn.Module):
    """A residual module that is called twice, with its shortcut by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """What is added to what."""
        return self.conv(x).to(x.dtype) + skip


class Recurrent(nn.Module):
    """A net of one such block."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Twice()

    def forward(self, x: Tensor) -> Tensor:
        """Two calls."""
        x = self.block(x, skip=x)
        return self.block(x, skip=x)


def test_a_block_that_is_called_twice_and_by_keyword():
    assert [said(one) for one in diagrams(Recurrent(), CIFAR)] == ["3-d > 3-d > 3x3, 3 [0] > + [2, 1]"]


def test_what_else_a_block_may_do(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.setitem(BLOCKS, "squeezed", Kind(Squeezed))
    monkeypatch.setitem(BLOCKS, "choosing", Kind(Choosing))
    assert next(iter(of(block="squeezed"))) == (
        "16-d > 3x3, 16 > global avg pool > 1x1, 16 > sigmoid > × [1, 4] > × gamma > + [6, 0] > ReLU"
    )
    with pytest.raises(InputError, match=r"^(Choosing|ResNet): its forward pass cannot be drawn.*: write it without"):
        of(block="choosing")
    assert capfd.readouterr().err == "", "torch prints no traceback of its own"


def test_the_net_is_not_touched():
    net = build(NetConfig(depth=8)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert len(diagrams(net, CIFAR)) == 2
    assert all(module.training for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net(torch.zeros(2, *CIFAR)).shape == (2, 10)
