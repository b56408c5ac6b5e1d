"""Cells that start from the weights of another grid's cell: `model.start: {grid: table3, cell: ResNet-101}`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StartCell:
    """What a cell says under `model.start`: a cell of another grid.

    Args:
        grid: The other grid, by the path or shipped name that a command line takes.
        cell: The name of the cell there.
        seeds: The seeds that it has there.
    """

    grid: str
    cell: str
    seeds: tuple[int, ...]

    def __str__(self) -> str:
        """For people, and for the axis: `table3/ResNet-101`."""
        return f"{Path(self.grid).stem}/{self.cell}"

    def folder(self, root: Path, seed: int) -> Path:
        """The run that a cell with this seed starts from: that with the same seed, else that with the first."""
        return root / Path(self.grid).stem / f"{self.cell}-seed{self.seed(seed)}"

    def seed(self, seed: int) -> int:
        """The seed of that run."""
        return seed if seed in self.seeds else self.seeds[0]
