"""Recomputed activations: the same gradients and statistics from less memory, and a net of 1202 layers that trains."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.nets.normalization import group_batch_norm

IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8)


def backward(net: Net) -> int:
    """One forward and backward pass; the bytes kept between the two."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(net(IMAGES), LABELS)
    loss.backward()
    return sum(kept.values())


@pytest.mark.parametrize(("shortcut", "group"), [("none", None), ("A", None), ("C", None), ("A", 4)])
def test_same_gradients_and_statistics_with_less_kept(shortcut: str, group: int | None):
    net = build(NetConfig(depth=56, shortcut=shortcut)).train()
    if group:
        group_batch_norm(net, group)
    thrifty = copy.deepcopy(net)
    thrifty.recompute = True
    assert backward(thrifty) < 0.5 * backward(net)
    for (name, a), b in zip(net.named_parameters(), thrifty.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
    for (name, a), b in zip(net.named_buffers(), thrifty.buffers(), strict=True):
        assert torch.equal(a, b), name
    norms = [module for module in thrifty.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == (2 if group else 1) and norm.momentum == 0.1 for norm in norms)


def test_evaluation_is_the_same():
    net = build(NetConfig(depth=20)).eval()
    expected = net(IMAGES)
    net.recompute = True
    assert torch.equal(net(IMAGES), expected)


def test_1202_layers_train():
    net = build(NetConfig(depth=1202)).train()
    net.recompute = True
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(2):
        loss = cross_entropy(net(IMAGES[:2]), LABELS[:2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(torch.isfinite(torch.tensor(losses)))
    assert losses[-1] != losses[0]
    assert net.layer1[0].bn1.num_batches_tracked == 2
