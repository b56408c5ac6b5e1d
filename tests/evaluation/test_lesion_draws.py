"""Which blocks are taken out together, and what the nets then err."""

from math import comb

import pytest
import torch

from lit_resnet.evaluation.lesions import errors, planned
from lit_resnet.nets import NetConfig, ResNet, build
from lit_resnet.probes.lesions import Place, places, removed


def blocks_of(net: ResNet) -> list[Place]:
    return places(net.eval(), torch.zeros(1, 3, 8, 8))


def names(plan: list[tuple[Place, ...]]) -> list[tuple[str, ...]]:
    return [tuple(place.name for place in blocks) for blocks in plan]


def test_each_block_alone_and_then_different_draws_of_those_that_keep_dimensions():
    net, plain = build(NetConfig(depth=32)), build(NetConfig(depth=32, shortcut="none"))
    plan = names(planned(blocks_of(net), most=20, draws=6, seed=0))
    assert plan[:15] == [(name,) for name, _ in net.blocks()]
    several = {k: [blocks for blocks in plan[15:] if len(blocks) == k] for k in range(2, 15)}
    assert [len(found) for found in several.values()] == [min(6, comb(13, k)) for k in several if k < 14] + [0]
    order = [name for name, _ in net.blocks()]
    for blocks in plan[15:]:
        assert not {"layer2.0", "layer3.0"} & {*blocks}
        assert list(blocks) == sorted(set(blocks), key=order.index)
    assert len(set(plan)) == len(plan)
    assert names(planned(blocks_of(plain), most=20, draws=6, seed=0)) == plan
    assert {*plan} < {*names(planned(blocks_of(net), most=20, draws=9, seed=0))}
    assert names(planned(blocks_of(net), most=20, draws=6, seed=1)) != plan
    assert names(planned(blocks_of(net), most=1, draws=6, seed=0)) == plan[:15]


def test_errors_are_those_of_the_net_without_these_blocks_whatever_the_batches():
    torch.manual_seed(0)
    net = build(NetConfig(depth=8, shortcut="C"))
    images, labels = torch.randn(60, 3, 8, 8), torch.randint(0, 10, (60,))
    blocks = blocks_of(net)
    plan, seen = [(), *planned(blocks, 1, 1, 0)], []
    found = errors(net, plan, zip(images.split(25), labels.split(25), strict=True), seen.append)
    wanted = []
    with torch.inference_mode():
        for lesion in plan:
            with removed(lesion):
                wanted.append(100 * (net(images).argmax(1) != labels).double().mean().item())
    assert found == pytest.approx(wanted, abs=1e-4)
    assert len(set(found)) > 1
    assert seen == [25] * 4 + [25] * 4 + [10] * 4
