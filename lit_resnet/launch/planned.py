"""A cell whose config was checked, and how long its training may take by what other runs took. Needs no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.grid.grid import Cell, Grid
from lit_resnet.runfolder.summary import Summary


@dataclass(frozen=True)
class Planned:
    """A cell whose config is right.

    `macs` are multiply-adds of one image's forward pass; a training step makes `passes` such: forward once, backward
    twice that, and forward once more where activations are recomputed.
    """

    cell: Cell
    net: str
    net_config: dict[str, Any]  # plain values, so that who launches need not import torch
    data: str
    params: int
    macs: int
    passes: int
    max_steps: int
    batch_size: int
    image_shape: tuple[int, int, int]
    devices: int  # of each node
    num_nodes: int
    gpu: bool  # whether it may train on one

    @property
    def step_macs(self) -> int:
        """Multiply-adds of one training step."""
        return self.passes * self.macs * self.batch_size

    @property
    def training_macs(self) -> int:
        """Multiply-adds of the whole training."""
        return self.step_macs * self.max_steps


def check_one_device(grid: Grid, planned: list[Planned]) -> None:
    """Refuse cells that more than one device is to train, where there is nobody to start their processes.

    Raises:
        InputError: The first such cell.
    """
    if several := next((p for p in planned if p.devices * p.num_nodes > 1), None):
        raise InputError(
            f"{grid.name}, cell {several.cell.name}: asks for {several.devices * several.num_nodes} devices, "
            "which a launch on this machine does not give: launch it --on slurm, or train it with lit-resnet fit"
        )


def measured(planned: list[Planned], summaries: list[Summary | None]) -> dict[int, float]:
    """Seconds of one iteration by its multiply-adds, as the finished runs of these cells took them."""
    return {
        p.step_macs: summary.wall_seconds / summary.steps
        for p, summary in zip(planned, summaries, strict=True)
        if summary
    }


def expected(points: dict[int, float]) -> Callable[[Planned], float]:
    """Seconds of one iteration of any cell: a straight line in its multiply-adds, through one point or more.

    A net's layers cost a fixed time each besides their arithmetic, and both grow with depth: hence a line.
    """
    import numpy as np

    work, seconds = np.array(list(points)), np.array(list(points.values()))
    slope, start = np.polyfit(work, seconds, 1) if len(points) > 1 else (0.0, 0.0)
    if slope <= 0 or start < 0:  # one point, or points that differ in more than their size: in proportion, then
        slope, start = (seconds / work).mean(), 0.0
    return lambda p: float(slope * p.step_macs + start)
