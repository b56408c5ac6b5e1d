"""BN's statistics as true averages over batches: `take_statistics`, and `model.bn_images` of a run."""

import pytest
import torch
from torch import nn

from lit_resnet.nets import NetConfig, build
from lit_resnet.nets.normalization import group_batch_norm
from lit_resnet.training.statistics import batch_norms, take_statistics


def images(*sizes: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [3 * torch.randn(size, 3, 8, 8) + 1 for size in sizes]


@pytest.mark.parametrize("group", [None, 4])
def test_statistics_are_the_averages_over_batches_or_their_groups(group: int | None):
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    if group:
        group_batch_norm(net, group)
    net[1].eval()
    with torch.no_grad():
        net[0].running_mean.fill_(float("nan"))  # what was there before does not matter
    assert take_statistics(net, images(8, 8, 8), net) == 3
    parts = [part for batch in images(8, 8, 8) for part in batch.split(group or 8)]
    seen = [part.movedim(1, 0).flatten(1) for part in parts]
    torch.testing.assert_close(net[0].running_mean, torch.stack([one.mean(1) for one in seen]).mean(0))
    torch.testing.assert_close(net[0].running_var, torch.stack([one.var(1) for one in seen]).mean(0))
    # The second layer sees what training would give it, without dropout.
    fresh = nn.BatchNorm2d(3, affine=False)
    with torch.no_grad():
        inner = [net[2](fresh(part)).movedim(1, 0).flatten(1) for part in parts]
    torch.testing.assert_close(net[3].running_mean, torch.stack([one.mean(1) for one in inner]).mean(0))
    assert [module.training for module in net] == [True, False, True, True]
    assert net[0].momentum == 0.3


def test_nothing_is_drawn_and_no_weight_changes():
    net = build(NetConfig(depth=8))
    before = {name: value.clone() for name, value in net.named_parameters()}
    batches, drawn = images(4, 4), torch.get_rng_state()
    take_statistics(net.eval(), iter(batches), net.forward)
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in net.named_parameters())
    assert not any(module.training for module in net.modules())
    assert all(layer.running_mean.abs().sum() > 0 for layer in batch_norms(net))


def test_devices_are_averaged():
    net = nn.BatchNorm2d(3)
    take_statistics(net, images(8), net, mean_of_devices=lambda statistic: 2 * statistic)
    torch.testing.assert_close(net.running_mean, 2 * images(8)[0].mean((0, 2, 3)))


def test_what_has_no_statistics():
    with pytest.raises(ValueError, match="no BN layers"):
        take_statistics(nn.Conv2d(3, 3, 1), images(2), print)
    net = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="no batches"):
        take_statistics(net, [], net)
    assert net.training
    assert net.momentum == 0.1
