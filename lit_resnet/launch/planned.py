"""A cell whose config was checked, and the time that its training may take, going by other runs. Needs no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.runfolder.summary import Summary


@dataclass(frozen=True)
class Planned:
    """A cell whose config was checked.

    Args:
        cell: The cell.
        net: Name of its net: `ResNet-56`.
        net_config: Config of the net, in plain values, so that the process of a launch need not import torch.
        data: Name of its data set.
        params: Parameters of the net.
        macs: Multiply-adds of one image's forward pass in a test.
        trained_macs: The same in training.
        passes: The arithmetic of a training step on one image, in forward passes: one forward, two for the backward
            pass, and one more where activations are recomputed.
        max_steps: Iterations of the training.
        tested: Images that it is tested on, all evaluations together; 0 where that is not known.
        batch_size: Images of an iteration, over all devices.
        image_shape: Shape of an image, `(channels, height, width)`.
        devices: Devices of each node.
        num_nodes: Nodes.
        gpu: Whether it may train on GPUs.
    """

    cell: Cell
    net: str
    net_config: dict[str, Any]
    data: str
    params: int
    macs: int
    trained_macs: int
    passes: int
    max_steps: int
    tested: int
    batch_size: int
    image_shape: tuple[int, int, int]
    devices: int
    num_nodes: int
    gpu: bool

    @property
    def step_macs(self) -> int:
        """Multiply-adds of one training step."""
        return self.passes * self.trained_macs * self.batch_size

    @property
    def training_macs(self) -> int:
        """Multiply-adds of the whole training."""
        return self.step_macs * self.max_steps

    @property
    def with_tests(self) -> float:
        """How many times as long as its iterations alone it takes, going by the multiply-adds of its evaluations."""
        return 1 + self.tested * self.macs / self.training_macs


def check_one_device(grid: Grid, planned: list[Planned]) -> None:
    """Refuse cells that need more than one device, where nothing starts a process for each device.

    Raises:
        InputError: The first such cell.
    """
    if several := next((p for p in planned if p.devices * p.num_nodes > 1), None):
        raise InputError(
            f"{grid.name}, cell {several.cell.name}: asks for {several.devices * several.num_nodes} devices, "
            "which a launch on this machine does not give: launch it --on slurm, or train it with lit-resnet fit"
        )


def measured(planned: list[Planned], summaries: list[Summary | None]) -> dict[int, float]:
    """Seconds of one iteration by its multiply-adds, from the summaries of the finished runs among these cells."""
    return {
        p.step_macs: summary.wall_seconds / summary.steps
        for p, summary in zip(planned, summaries, strict=True)
        if summary
    }


def expected(points: dict[int, float]) -> Callable[[Planned], float]:
    """Seconds of one iteration of any cell: a straight line in its multiply-adds, through one point or more.

    Each layer costs a fixed time besides its arithmetic, and both grow with the depth: hence a line.
    """
    import numpy as np

    work, seconds = np.array(list(points)), np.array(list(points.values()))
    slope, start = np.polyfit(work, seconds, 1) if len(points) > 1 else (0.0, 0.0)
    if slope <= 0 or start < 0:  # one point, or points that no line fits: in proportion to the multiply-adds
        slope, start = (seconds / work).mean(), 0.0
    return lambda p: float(slope * p.step_macs + start)
