"""A deeper plain net that computes what a shallower one does."""

import torch

from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.construction import construct


def apart(depth: int, deeper: int, shortcut: str, family: str = "cifar") -> float:
    """How far the logits of a net, and of a deeper one made of it, lie apart."""
    shallow, deep = (build(NetConfig(family, layers, shortcut)).eval() for layers in (depth, deeper))
    construct(shallow, deep)
    images = torch.randn(2, 3, 32, 32)
    return (shallow(images) - deep(images)).abs().max().item()


def test_added_blocks_change_nothing_in_a_plain_net():
    assert apart(8, 20, "none") < 1e-4
    assert apart(18, 34, "none", "imagenet") < 1e-4


def test_they_do_where_there_are_shortcuts():
    assert apart(8, 20, "A") > 0.1
