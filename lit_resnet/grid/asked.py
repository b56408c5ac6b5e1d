"""A grid as a command line asks for it: its file, settings and seeds, and the root of its runs."""

import os
import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import ROOT, Grid, load
from lit_resnet.runfolder.folder import RunFolder


@dataclass(frozen=True)
class Asked:
    """A grid, the settings of all its cells, and the root of its run folders.

    A process passes it on to another one as words of a command line, so that both see the same runs.

    Args:
        name: The grid's shipped name, or the path of its file.
        settings: `KEY=VALUE`, for all cells.
        root: The run folders are in `<root>/<grid>/`.
        seeds: Seeds of every cell, in place of the file's; empty for the file's.
    """

    name: str
    settings: tuple[str, ...] = ()
    root: Path = ROOT
    seeds: tuple[int, ...] = ()

    @cached_property
    def grid(self) -> Grid:
        """The grid, read once.

        Raises:
            InputError: No such file, or something in it, in a setting or in a seed is wrong.
        """
        return load(self.name, self.settings, self.seeds, self.root)

    @property
    def home(self) -> Path:
        """The folder of its runs; known even where the grid file is gone."""
        return self.root / Path(self.name).stem

    def folder(self, cell: Cell) -> RunFolder:
        """The run folder of one of its cells."""
        return RunFolder(self.home / cell.folder)

    def words(self, *cells: str) -> list[str]:
        """What follows a verb so that it sees the same runs: `GRID CELL... --root DIR --set=... --seeds ...`."""
        return [self.name, *cells, "--root", str(self.root), *self._options()]

    def command(self, verb: str, *cells: str) -> str:
        """The command line that a person types: `lit-resnet wandb sync fig6`; the default root is left out."""
        root = ["--root", str(self.root)] if self.root != ROOT else []
        return shlex.join(["lit-resnet", *verb.split(), self.name, *cells, *root, *self._options()])

    def absolute(self) -> "Asked":
        """The same with absolute paths, for a process in another working directory."""
        name = os.path.realpath(self.name) if os.path.isfile(self.name) else self.name
        return replace(self, name=name, root=Path(os.path.realpath(self.root)))

    def _options(self) -> list[str]:
        seeds = ["--seeds", *map(str, self.seeds)] if self.seeds else []
        return [*(f"--set={setting}" for setting in self.settings), *seeds]
