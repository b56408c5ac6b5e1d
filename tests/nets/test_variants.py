"""Shortcuts that are no identities, and other orders of activation, against their equations (arXiv 1603.05027)."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from extending import Add
from torch import Tensor, nn

from lit_resnet.cli import main
from lit_resnet.nets import NetConfig, ResNet, build, orders
from lit_resnet.nets.blocks import BLOCKS, Block, Kind
from lit_resnet.nets.gates import GATES, ShortcutGate
from lit_resnet.nets.orders import Order
from lit_resnet.probes.gates import Watching, gates
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.sgd import Sgd

SMALL = {"depth": 8, "num_classes": 4}
SEQUEL = {"block": "bottleneck", "shortcut": "B"}


def net_of(**net: Any) -> ResNet:
    """A net in float64 with random weights, scales, shifts and statistics, in evaluation mode."""
    torch.manual_seed(3)
    made = build(NetConfig(**{**SMALL, **net})).double().eval()
    assert isinstance(made, ResNet)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
            for values in (module.bias, module.running_mean):
                nn.init.normal_(values, std=0.3)
        elif isinstance(module, ShortcutGate):
            nn.init.normal_(module.conv.bias)
    return made


def images(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Written:
    """The sequel's equations, written out once more, on the weights of a net."""

    def __init__(self, net: ResNet) -> None:
        self.weights, self.config = net.state_dict(), net.config

    def bn(self, name: str, x: Tensor) -> Tensor:
        mean, var, scale, shift = (
            self.weights[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return F.conv2d(x, weight, self.weights.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def shortcut(self, at: str, x: Tensor, activated: Tensor, stride: int, c_out: int) -> Tensor:
        if f"{at}.downsample.0.weight" in self.weights:
            projected = self.conv(f"{at}.downsample.0", activated, stride)
            return projected if self.config.order == "full" else self.bn(f"{at}.downsample.1", projected)
        missing = x.new_zeros(len(x), c_out - x.shape[1], *x[0, 0, ::stride, ::stride].shape)
        return torch.cat([x[:, :, ::stride, ::stride], missing], 1)

    def residual(self, at: str, x: Tensor, stride: int, first: bool) -> tuple[Tensor, Tensor]:
        """F(x), and x after its pre-activation."""
        order, activated = self.config.order, x
        layers = sum(f"{at}.conv{i}.weight" in self.weights for i in (1, 2, 3))
        if order == "relu-only" and not first:
            activated = x.clamp(min=0)
        if order == "full" and not first:
            activated = self.bn(f"{at}.before.0", x).clamp(min=0)
        y = activated
        for i in range(1, layers + 1):
            conv, bn, last = f"{at}.conv{i}", f"{at}.bn{i}", i == layers
            if order == "full" and i > 1:
                y = self.bn(bn, y).clamp(min=0)
            if order == "relu-only" and i > 1:
                y = y.clamp(min=0)
            y = self.conv(conv, y, stride if i == 1 else 1)
            if order in ("paper", "relu-only", "relu-before") or (order == "bn-after" and not last):
                y = self.bn(bn, y)
            if order == "relu-before" or (order in ("paper", "bn-after") and not last):
                y = y.clamp(min=0)
        return y, activated

    def sum(self, at: str, x: Tensor, s: Tensor, f: Tensor, stride: int) -> Tensor:
        gate, value = self.config.gate, self.config.gate_value
        if gate in ("exclusive", "shortcut"):
            g = 1 / (1 + (-self.conv(f"{at}.gate.conv", x, stride)).exp())
            return (1 - g) * s + (g * f if gate == "exclusive" else f)
        if gate == "scale":
            return (0.5 if value is None else value) * s + f
        return 0.5 * s + 0.5 * f if gate == "half" else s + f

    def __call__(self, x: Tensor) -> Tensor:
        x = self.bn("bn1", self.conv("conv1", x)).clamp(min=0)
        blocks = 2 if self.config.block == "highway" else 1
        for stage in (1, 2, 3):
            for number in range(blocks):
                at, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
                f, activated = self.residual(at, x, stride, first=(stage, number) == (1, 0))
                s = self.shortcut(at, x, activated, stride, f.shape[1])
                x = self.sum(at, x, s, f, stride)
                if self.config.order == "bn-after":
                    x = self.bn(f"{at}.after.0", x)
                if self.config.order in ("paper", "bn-after"):
                    x = x.clamp(min=0)
        if self.config.order == "full":
            x = self.bn("end.0", x)
        if self.config.order in ("full", "relu-only"):
            x = x.clamp(min=0)
        return x.mean((2, 3)) @ self.weights["fc.weight"].T + self.weights["fc.bias"]


ORDERS = ("bn-after", "relu-before", "relu-only", "full")


@pytest.mark.parametrize(
    "net",
    [
        {},
        *({"gate": gate} for gate in GATES),
        {"gate": "scale", "gate_value": 0.25},
        {"gate": "exclusive", "gate_value": 0.0, "shortcut": "B"},
        *({"order": order} for order in ORDERS),
        *({"order": order, "depth": 11, **SEQUEL} for order in ("paper", *ORDERS)),
        {"order": "full", "gate": "shortcut", "shortcut": "C"},
        {"block": "highway"},
    ],
    ids=lambda net: str(NetConfig(**{**SMALL, **net})),
)
def test_a_net_is_its_equations(net: dict[str, Any]):
    made = net_of(**net)
    with torch.inference_mode():
        assert (made(images()) - Written(made)(images())).abs().max() < 1e-10


@pytest.mark.parametrize("block", [{}, {"depth": 11, **SEQUEL}], ids=["pairs", "bottlenecks"])
@pytest.mark.parametrize("order", ["paper", "full"])
def test_what_multiplies_by_one_and_nothing_is_the_identity_or_the_plain_net(order: str, block: dict[str, Any]):
    usual = net_of(order=order, **block)

    def other(bias: float | None = None, **net: Any) -> Tensor:
        made = net_of(order=order, **{**block, **net})
        made.load_state_dict(
            made.state_dict() | {k: v for k, v in usual.state_dict().items() if k in made.state_dict()}
        )
        for module in made.modules():
            if isinstance(module, ShortcutGate) and bias is not None:
                nn.init.zeros_(module.conv.weight)
                nn.init.constant_(module.conv.bias, bias)
        return made(images())

    with torch.inference_mode():
        identity, plain = usual(images()), other(shortcut="none")
        assert not torch.allclose(identity, plain)
        assert torch.equal(other(gate="scale", gate_value=1.0), identity)
        assert torch.equal(other(gate="scale", gate_value=0.0), plain)
        assert torch.equal(other(gate="dropout"), identity)
        assert torch.equal(other(gate="shortcut", bias=-1000.0), identity)
        assert torch.equal(other(gate="shortcut", bias=1000.0), plain)
        assert torch.equal(other(gate="exclusive", bias=1000.0), plain)


@pytest.mark.parametrize(
    ("net", "name", "parameters"),
    [
        ({"gate": "scale"}, "ResNet-110 shortcut x0.5", 1_727_962),
        ({"gate": "half"}, "ResNet-110 frozen gate 0.5", 1_727_962),
        ({"gate": "dropout"}, "ResNet-110 dropout 0.5", 1_727_962),
        ({"gate": "exclusive"}, "ResNet-110 exclusive gate -6", 1_824_186),
        ({"gate": "shortcut", "gate_value": 0.0}, "ResNet-110 shortcut gate 0", 1_824_186),
        ({"shortcut": "C"}, "ResNet-110 C", 1_826_202),
        ({"order": "bn-after"}, "ResNet-110 BN after addition", 1_727_962),
        ({"order": "relu-before"}, "ResNet-110 ReLU before addition", 1_727_962),
        ({"order": "relu-only"}, "ResNet-110 ReLU-only pre-activation", 1_727_962),
        ({"order": "full"}, "ResNet-110 pre-activation", 1_727_962),
        ({"order": "full", "shortcut": "none"}, "plain-110 pre-activation", 1_727_962),
        ({"depth": 164, **SEQUEL}, "ResNet-164 bottleneck", 1_704_154),
        # Three projections have no BN of their own.
        ({"depth": 164, "order": "full", **SEQUEL}, "ResNet-164 bottleneck pre-activation", 1_703_258),
        ({"depth": 1001, **SEQUEL}, "ResNet-1001 bottleneck", 10_328_602),
        ({"depth": 20, "block": "highway"}, "Highway-20", 537_658),
        ({"depth": 20, "block": "highway", "gate_value": -6.0}, "Highway-20", 537_658),
        ({"depth": 32, "block": "highway"}, "Highway-32", 926_074),
        ({"depth": 56, "block": "highway", "gate_value": -3.0}, "Highway-56 -3", 1_702_906),
        ({"depth": 110, "block": "highway"}, "Highway-110", 3_450_778),
    ],
)
def test_names_and_parameters(net: dict[str, Any], name: str, parameters: int):
    config = NetConfig(**{"depth": 110, **net})
    with torch.device("meta"):
        assert (str(config), sum(p.numel() for p in build(config).parameters())) == (name, parameters)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ({"gate": "open"}, r"gate is 'open': write one of none, scale, half, exclusive, shortcut, dropout"),
        ({"gate": "scale", "shortcut": "none"}, r"gate is scale, which is about shortcuts"),
        ({"gate": "scale", "gate_value": 2.0}, r"gate_value is 2.0"),
        ({"gate": "dropout", "gate_value": 1.0}, r"gate_value is 1.0"),
        ({"gate": "exclusive", "gate_value": float("nan")}, r"gate_value is nan"),
        ({"gate_value": 0.5}, r"gate_value is 0.5, and gate is none"),
        ({"order": "last"}, r"order is 'last': write one of paper, bn-after"),
        (
            {"family": "vgg", "depth": 16, "shortcut": "none", "order": "full"},
            r"order is full: a vgg net has one of its",
        ),
        ({"family": "vgg", "depth": 16, "shortcut": "none", "block": "bottleneck"}, r"nets of family vgg cannot have"),
        (
            {"family": "imagenet", "depth": 50, "block": "bottleneck"},
            r"nets of family imagenet cannot have \(cifar can",
        ),
        ({"depth": 8, "block": "bottleneck"}, r"9n\+2 layers; the nearest are 11 and 20"),
        ({"depth": 26, "block": "bottleneck"}, r"with block bottleneck has 9n\+2 layers; the nearest are 20 and 29"),
        ({"block": "highway", "gate": "shortcut"}, r"gate is shortcut: block highway has gate exclusive; leave it out"),
        ({"block": "highway", "order": "full"}, r"order is full: block highway has order relu-before; leave it out"),
        ({"block": "highway", "shortcut": "none"}, r"block is highway, which is about shortcuts"),
    ],
)
def test_nets_that_there_are_not(net: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        NetConfig(**{"depth": 8, **net})


@pytest.mark.parametrize(
    ("sgd", "decayed"), [({}, True), ({"decay_gates": False}, False), ({"decay_bn_and_bias": False}, False)]
)
def test_weight_decay_on_gates(sgd: dict[str, bool], decayed: bool):
    made = build(NetConfig(depth=8, gate="shortcut"))
    with_decay, without = Sgd(**sgd).optimizer(made, 0.1).param_groups
    (gates, others) = (
        [p for name, p in made.named_parameters() if (".gate.conv.bias" in name) == of_gates]
        for of_gates in (True, False)
    )
    assert {id(p) for p in gates} <= {id(p) for p in (with_decay if decayed else without)["params"]}
    if "decay_bn_and_bias" not in sgd:
        assert {id(p) for p in others} <= {id(p) for p in with_decay["params"]}


def test_a_bias_without_a_gradient_decays_as_the_docs_say():
    """From -6, at lr 0.1 with a momentum of 0.9."""
    bias = nn.Parameter(torch.tensor([-6.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([bias], lr=0.1, momentum=0.9, weight_decay=1e-4)
    found = {}
    for step in range(1, 32_001):
        bias.grad = torch.zeros_like(bias)
        optimizer.step()
        if step in (1000, 8000, 32000):
            found[step] = round(bias.item(), 2)
    assert found == {1000: -5.43, 8000: -2.7, 32000: -0.24}


def test_gates_begin_at_their_bias():
    made = build(NetConfig(depth=8, gate="exclusive", gate_value=-3.0))
    gates = [module for module in made.modules() if isinstance(module, ShortcutGate)]
    assert len(gates) == 3
    assert all((gate.conv.bias == -3).all() and gate.conv.weight.std() > 0 for gate in gates)


@pytest.mark.parametrize("gate", ["shortcut", "exclusive"])
def test_a_gate_that_is_nearly_shut_carries_in_bf16_what_it_does_in_64_bits(gate: str):
    """1 - sigmoid(-6) is 0.9975; the nearest numbers of bf16 are 0.996 and 1."""
    torch.manual_seed(0)
    made = GATES[gate](8, 8, 1, -6.0)
    nn.init.zeros_(made.conv.weight)
    made.begin()
    s, f = (torch.randn(64, 8, 16, 16).bfloat16() for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        found = made(s, s, f)
    expected = made.double()(s.double(), s.double(), f.double())
    assert found.dtype == torch.bfloat16
    along = s.double() / s.double().square().sum()
    assert ((found.double() - expected) * along).sum().abs() < 5e-4


class Hard(ShortcutGate):
    """An opening of its own, and dropout of whole channels."""

    def __init__(self, c_in: int, c_out: int, stride: int, value: float, size: int = 1) -> None:
        super().__init__(c_in, c_out, stride, value, size)
        self.dropout = nn.Dropout2d(0.5)

    def opening(self, x: Tensor) -> Tensor:
        """From 0 to 1 in a straight line."""
        return self.dropout(F.hardsigmoid(self.conv(x)))


class Bare(Block):
    """A block with a forward pass of its own."""

    def forward(self, x: Tensor) -> Tensor:
        """Nothing is added."""
        return x


def test_a_gate_with_an_opening_of_its_own_is_watched_and_recomputed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(GATES, "hard", Hard)
    made = build(NetConfig(depth=8, gate="hard", gate_value=0.0)).train()
    found, images = [], torch.randn(2, 3, 8, 8)
    for made.recompute in (False, True):
        torch.manual_seed(0)
        with Watching(gates(made)) as watching:
            loss = made(images).square().sum()
        made.zero_grad()
        loss.backward()
        found.append([weight.grad for weight in made.parameters()])
        assert [one.name for one in watching.openings()] == ["layer1.0", "layer2.0", "layer3.0"]
        assert all(0 < one.opening < 1 for one in watching.openings())
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    with Watching(gates(made)) as watching:
        pass
    assert watching.openings() == []


def test_blocks_that_add_by_themselves_have_no_gate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BLOCKS, "bare", Kind(Bare))
    with pytest.raises(ValueError, match="gate is scale: block bare adds in a forward pass of its own; leave it out"):
        NetConfig(depth=8, block="bare", gate="scale")


def test_an_order_that_begins_with_relu_leaves_the_shortcut_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(orders.ORDERS, "early", Order(("relu", "bn", "conv"), ("relu", "bn", "conv")))
    block = build(NetConfig(depth=8, order="early")).get_submodule("layer1.0")
    x = torch.randn(2, 16, 4, 4)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_a_gate_and_an_order_are_added_as_the_docs_say(add: Add, tmp_path: Path, one_thread: None):
    add("A gate")
    add("An order of activation")
    config = NetConfig(depth=8, gate="scaled-residual", order="no-last-relu")
    assert str(config) == "ResNet-8 without the last ReLU scaled residual 0.1"
    net = build(config).eval()
    assert sum(p.numel() for p in net.parameters()) - 16 - 32 - 64 == sum(
        p.numel() for p in build(NetConfig(depth=8)).parameters()
    )
    maps: list[Tensor] = []
    last = net.get_submodule("layer3.0")
    last.register_forward_hook(lambda module, inputs, y: maps.extend([*inputs, y]))
    with torch.inference_mode():
        net(images().float())
        x, y = maps
        assert y.min() < 0
        torch.testing.assert_close(y, last.downsample(x) + 0.1 * last.residual(x))
    options = {"data.source": "digits", "model.net.depth": 8, "model.net.gate": "scaled-residual"}
    trainer = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "default_root_dir": tmp_path}
    options |= {f"trainer.{key}": value for key, value in trainer.items()}
    assert main(["fit", *(f"--{key}={value}" for key, value in options.items())]) == 0
    summary = RunFolder(tmp_path).summary()
    assert summary
    assert summary.net == "ResNet-8 scaled residual 0.1"
