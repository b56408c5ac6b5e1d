"""The last model of a run, for the measurements that its task names, and for judging."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from lit_resnet.run.models import checkpoint_digest
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.disk import Disk
from lit_resnet.training.iterations import Iterations, TaskData


@dataclass(frozen=True, eq=False)
class Last:
    """The last model of a run, with all that measuring it takes.

    Args:
        module: The module that was trained.
        net: A copy of its net, not compiled, on the device.
        data: What it was trained and tested on.
        device: Where it is measured.
        folder: The run's folder.
        disk: Writes there, and waits where the disk is full.
    """

    module: Iterations
    net: nn.Module
    data: TaskData
    device: torch.device
    folder: RunFolder
    disk: Disk

    @cached_property
    def checkpoint(self) -> str:
        """SHA-256 of its checkpoint."""
        return checkpoint_digest(self.folder)
