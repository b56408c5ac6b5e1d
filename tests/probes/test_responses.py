"""Layer responses: the right layers, the right place, and no trace of how the images were batched."""

import pytest
import torch

from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.responses import responses


def images(n: int = 50) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def batches(size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(part, torch.zeros(len(part))) for part in images().split(size)]


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (NetConfig(depth=20), 19),
        (NetConfig(depth=20, shortcut="C"), 19),
        (NetConfig(depth=20, block="single"), 19),
        (NetConfig("imagenet", 34, "B"), 32),
        (NetConfig("imagenet", 50, "B"), 16),
    ],
)
def test_every_3x3_layer_once_and_in_order(config: NetConfig, count: int):
    names = [name for name, _ in build(config).layers()]
    assert len(names) == len(set(names)) == count
    assert names == sorted(
        names,
        key=lambda name: (name != "conv1", [int(p) for p in name.replace("layer", "").replace("conv", "").split(".")]),
    )


def test_the_output_of_bn_before_relu_and_addition():
    net = build(NetConfig(depth=8)).eval()
    x = images()
    with torch.inference_mode():
        stem = net.bn1(net.conv1(x))
        after = torch.relu(stem.clone())
        block = net.layer1[0]
        first = block.bn1(block.conv1(after))
        second = block.bn2(block.conv2(torch.relu(first.clone())))
    measured = dict(responses(net, batches(50)))
    for name, output in {"conv1": stem, "layer1.0.conv1": first, "layer1.0.conv2": second}.items():
        assert measured[name] == pytest.approx(output.double().std(correction=0).item(), rel=1e-6)


def test_batch_size_does_not_matter():
    net = build(NetConfig(depth=8))
    whole = responses(net, batches(50))
    for size in (1, 7, 32):
        for (name, a), (other, b) in zip(whole, responses(net, batches(size)), strict=True):
            assert name == other
            assert a == pytest.approx(b, rel=1e-6)


def test_leaves_no_hook_and_no_change():
    net = build(NetConfig(depth=8)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    responses(net, batches(50))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
