"""BN over groups on one device: as if each group had been on a device of its own."""

import copy

import torch

from lit_resnet.nets import NetConfig, build
from lit_resnet.nets.normalization import group_batch_norm

IMAGES = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_each_group_is_normalized_by_itself():
    whole = build(NetConfig(depth=8)).train()
    grouped = copy.deepcopy(whole)
    group_batch_norm(grouped, 4)
    expected = torch.cat([copy.deepcopy(whole)(images) for images in IMAGES.split(4)])
    torch.testing.assert_close(grouped(IMAGES), expected)
    assert not torch.allclose(grouped(IMAGES), whole(IMAGES), atol=1e-3)


def test_evaluation_and_names_of_weights_are_those_of_any_net():
    whole = build(NetConfig(depth=8))
    grouped = build(NetConfig(depth=8))
    group_batch_norm(grouped, 4)
    grouped(IMAGES)
    whole.load_state_dict(grouped.state_dict())
    assert torch.equal(grouped.eval()(IMAGES), whole.eval()(IMAGES))
