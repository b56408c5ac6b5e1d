"""Batch normalization otherwise than usual: over groups of images, and fixed."""

from typing import cast

import torch
from torch import Tensor, nn


class GroupedBatchNorm2d(nn.BatchNorm2d):
    """BN that normalizes each group of images by the group's own statistics; in evaluation it is ordinary BN.

    The paper trains on CIFAR-10 with 128 images on two GPUs, so that a BN layer sees 64 (Sec. 4.2). The running
    statistics are updated with one group after the other.
    """

    group: int  # images

    def forward(self, x: Tensor) -> Tensor:
        """Normalize [N, C, H, W], group by group while it trains."""
        if not self.training:
            return super().forward(x)
        normalize = super().forward
        return torch.cat([normalize(images) for images in x.split(self.group)])


def group_batch_norm(net: nn.Module, group: int) -> None:
    """Make every BN layer of `net` take its statistics over groups of `group` images."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = GroupedBatchNorm2d  # the same parameters and names: weights load either way
            cast(GroupedBatchNorm2d, module).group = group


class FixedBatchNorm2d(nn.BatchNorm2d):
    """BN as "linear activations with constant offsets and scales" (Appendix A): statistics and weights stay."""

    def train(self, mode: bool = True) -> "FixedBatchNorm2d":
        """Stay as in evaluation."""
        return super().train(False)


def fix_batch_norm(net: nn.Module) -> None:
    """Make every BN layer of `net` keep its statistics, scales and shifts, in training too."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = FixedBatchNorm2d
            module.eval().requires_grad_(False)
