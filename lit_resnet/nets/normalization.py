"""Batch normalization over groups: what the paper's two GPUs did to a batch, on one device."""

from typing import cast

import torch
from torch import Tensor, nn


class GroupedBatchNorm2d(nn.BatchNorm2d):
    """BN that normalizes each group of so many images by its own statistics; in evaluation it is like any other.

    The paper trains on CIFAR-10 with 128 images on two GPUs, so that a BN layer sees 64 (Sec. 4.2). The running
    statistics take the groups in one after another.
    """

    group: int

    def forward(self, x: Tensor) -> Tensor:
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
