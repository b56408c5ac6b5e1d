"""A grid file becomes cells: one complete set of overrides for each run of a table or figure::

    title: Plain and residual nets on digits
    base: recipes/digits.yaml           # a config of `lit-resnet fit`, beside this file
    seeds: [0, 1, 2]
    matrix:                             # every combination is a cell
      model.net.shortcut: {plain: none, residual: A}      # a value's name: the value
      model.net.depth: [20, 56]                           # a value that is its own name
      model.rate.lr: {log-uniform: [0.01, 1]}             # or a range, for sample
      weights:                                            # any name, where a value has several keys
        fresh: {model.start: null}
        tuned: {model.start: {grid: table6, cell: ResNet-20}, model.rate.warmup_lr: 0.01}  # another grid's weights
    sample: 20                          # so many cells of the matrix, drawn at random, always the same ones
    exclude:
      - {model.net.shortcut: plain, model.net.depth: 56}  # all cells that match
    include:                            # more cells: a name, and what differs from the base; seeds of its own, or not
      residual-110-lr0.01: {model.net.shortcut: A, model.net.depth: 110, model.rate.lr: 0.01, seeds: [0]}
    report:
      figures: [fig1, fig6, fig7]
      tables: [table3, table5]                          # of ImageNet nets, in the paper's shape
      ensembles:                                        # all runs of some cells, judged as one model; for table5
        best: {cells: [residual-56, residual-110], protocol: multi-scale}
    cluster: {partition: gpu, hours: 12}                # for Slurm: see cluster.py; or a file

Knows YAML and nothing of torch: whether a key and a value mean something to a net is for `plan` and `launch` to check.
"""

import copy
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from lit_resnet import files, task
from lit_resnet.errors import InputError, did_you_mean, shown
from lit_resnet.evaluation import Testing
from lit_resnet.files import parse_yaml, read_yaml
from lit_resnet.grid import cells, cluster, exhibits
from lit_resnet.grid.cells import NAME, SEED, START, Cell, short_names
from lit_resnet.grid.cluster import Cluster
from lit_resnet.grid.start import StartCell
from lit_resnet.nested import value_at
from lit_resnet.task import Task

KEYS = ("title", "base", "seeds", "matrix", "sample", "include", "exclude", "report", "cluster")
REPORT = ("figures", "tables", "ensembles")
ROOT = Path("runs")  # of run folders


@dataclass(frozen=True)
class Ensemble:
    """Models whose scores are averaged (Table 5): all runs of some cells.

    Args:
        name: Also the name of the file with its errors.
        cells: Names of cells.
        protocol: How each model is judged.
    """

    name: str
    cells: tuple[str, ...]
    protocol: Testing


@dataclass(frozen=True)
class Grid:
    """A grid file, read and checked.

    Args:
        name: Its file's name without the ending; also the folder of its runs.
        title: One line that says what is compared.
        base: The recipe that every cell starts from, as nested mappings.
        cells: Cells in the order of the file, all seeds of a name together.
        figures: Names of the figures that `report` draws, of `exhibits.FIGURES`; None where the file names none, for
            `exhibits.DEFAULT`.
        tables: Names of the tables that `report` writes, of `exhibits.TABLES`.
        ensembles: Its ensembles; the first is set beside the paper's own.
        settings: Config keys that `--set` gives a value, for all cells.
        cluster: What a Slurm cluster is asked for.
        root: The folder of the run folders of other grids, from which cells may start.
    """

    name: str
    title: str
    base: dict[str, Any]
    cells: tuple[Cell, ...]
    figures: tuple[str, ...] | None
    tables: tuple[str, ...]
    ensembles: tuple[Ensemble, ...]
    settings: dict[str, Any]
    cluster: Cluster
    root: Path = ROOT

    @cached_property
    def axes(self) -> dict[str, str]:
        """The config keys in which its cells differ, by short names: `depth` for `model.net.depth`."""
        keys = dict.fromkeys(key for cell in self.cells for key in cell.overrides)
        return {short: key for key, short in short_names(keys).items()}

    def has(self, name: str) -> bool:
        """Whether a name means one of its cells or run folders, or several of them."""
        return any(fnmatchcase(cell.name, name) or fnmatchcase(cell.folder, name) for cell in self.cells)

    def chosen(self, names: Iterable[str]) -> tuple[Cell, ...]:
        """The cells that some names mean, in the order of the grid.

        Args:
            names: Names of cells, with all their seeds, or of run folders; `*`, `?` and `[...]` match as in a shell.
                Empty for all cells.

        Raises:
            InputError: A name matches no cell.
        """
        names = list(names)
        known = list(dict.fromkeys(name for cell in self.cells for name in (cell.name, cell.folder)))
        for name in names:
            if not self.has(name):
                raise InputError(f"{name}: no cell of {self.name}{did_you_mean(name, known)}")
        return tuple(
            cell
            for cell in self.cells
            if not names or any(fnmatchcase(cell.name, name) or fnmatchcase(cell.folder, name) for name in names)
        )

    def part(self, names: Iterable[str]) -> "Grid":
        """The grid with these cells alone (as `chosen`), and without ensembles, which may have other members.

        Raises:
            InputError: A name matches no cell.
        """
        return replace(self, cells=self.chosen(names), tables=self.tables_of_runs, ensembles=())

    @property
    def tables_of_runs(self) -> tuple[str, ...]:
        """Its tables but those of ensembles."""
        return tuple(name for name in self.tables if not exhibits.TABLES[name].ensembles)

    @cached_property
    def task(self) -> Task:
        """What its runs are about.

        Raises:
            InputError: The base or a setting names an unknown task.
        """
        return task.of({**self.base, **self.settings})

    def said(self, cell: Cell) -> dict[str, Any]:
        """The config keys that the cell and the settings give a value; a cell to start from as its run folder."""
        said = {**cell.overrides, **self.settings, SEED: cell.seed}
        if isinstance(start := said.get(START), StartCell):
            said[START] = str(start.folder(self.root, cell.seed))
        return said

    def start(self, cell: Cell) -> StartCell | str | None:
        """What the cell, a setting or the base says under `model.start`; None for fresh weights."""
        said = {**cell.overrides, **self.settings}
        start = said[START] if START in said else value_at(self.base, START)
        return start if isinstance(start, StartCell) or start is None else str(start)

    def start_path(self, cell: Cell) -> str | None:
        """Where the weights are, or will be, that the cell starts from; None for fresh weights."""
        start = self.start(cell)
        return str(start.folder(self.root, cell.seed)) if isinstance(start, StartCell) else start

    def start_name(self, cell: Cell) -> str | None:
        """Them in words: `table3/ResNet-101-seed0`, or a path; None for fresh weights."""
        start = self.start(cell)
        return "/".join(start.folder(self.root, cell.seed).parts[-2:]) if isinstance(start, StartCell) else start

    def config(self, cell: Cell) -> dict[str, Any]:
        """The cell's config: the base with its overrides and the settings, as nested mappings.

        Raises:
            InputError: The base has a plain value where a key of the cell needs a mapping.
        """
        config = copy.deepcopy(self.base)
        for key, value in self.said(cell).items():
            *parents, leaf = key.split(".")
            place = config
            for depth, parent in enumerate(parents, start=1):
                if place.get(parent) is None:
                    place[parent] = {}
                if not isinstance(place[parent], dict):
                    raise InputError(
                        f"{self.name}: {'.'.join(parents[:depth])} is {shown(place[parent])} in the base, but a cell "
                        f"or --set has {key}: write a mapping in the base"
                    )
                place = place[parent]
            place[leaf] = copy.deepcopy(value)
        return config


def shipped() -> Path:
    """The folder of the grids and recipes that come with the package."""
    return files.shipped("ablations", "ablations")


def find(name: str, folder: Path, what: str) -> Path:
    """The file that `name` means: a path, or the name of a YAML file in `folder`.

    Raises:
        InputError: Neither is there.
    """
    if os.path.isfile(name):  # which is False for what cannot be the name of a file
        return Path(name)
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name in names:
        return folder / f"{name}.yaml"
    raise InputError(
        f"{shown(name)}: no such {what}{did_you_mean(name, names)} (shipped: {', '.join(names)}; or give a path)"
    )


def is_grid(name: str) -> bool:
    """Whether a name is the path of a file, or that of a shipped grid."""
    return os.path.isfile(name) or (shipped() / f"{name}.yaml").is_file()


def load(
    name: str,
    settings: Iterable[str] = (),
    seeds: Sequence[int] = (),
    root: Path = ROOT,
    within: tuple[Path, ...] = (),
) -> Grid:
    """Read a grid by its path or shipped name, and the grids that its cells start from.

    Args:
        name: The path or name.
        settings: `KEY=VALUE`, for all its cells, such as the place of the data or fewer iterations.
        seeds: Seeds of every cell, in place of the file's; empty for the file's.
        root: The folder of the run folders of all grids.
        within: The files of the grids whose cells start from cells of this one.

    Raises:
        InputError: No such file, or something in it is wrong; the message names the file, the key, and what to write
            instead.
    """
    path = find(name, shipped(), "grid")
    if path.stem.startswith(".") or not path.stem.isprintable() or len(path.stem.encode()) > 200:
        raise InputError(f"{shown(path.name)}: a grid's name becomes a folder: give it another one")
    content = read_yaml(path)
    for key in content:
        if key not in KEYS:
            near = did_you_mean(str(key), KEYS)
            raise InputError(f"{path}: unknown key {shown(key)}{near} (known: {', '.join(KEYS)})")
    if not isinstance(content.get("base"), str):
        raise InputError(f"{path}: base is missing: write the path of a recipe, beside this file")
    places = (path.parent / content["base"], shipped() / content["base"])
    base = next((place for place in places if os.path.isfile(place)), None)
    if base is None:
        raise InputError(f"{path}: base {shown(content['base'])}: no such file beside {path.name}, nor shipped")
    found = cells.read(path, content, seeds)
    title = content.get("title")
    title = path.stem if title is None else title
    if isinstance(title, dict | list):
        raise InputError(f"{path}: title is {shown(title)}: write a line of text")
    given = _settings(settings, found)
    starts = _Starts(path, within)
    if isinstance(given.get(START), dict):
        given[START] = starts.read(f"--set {START}", given[START])
    found = tuple(
        replace(cell, overrides=cell.overrides | {START: starts.read(f"{path}: cell {cell.name}", start)})
        if isinstance(start := cell.overrides.get(START), dict)
        else cell
        for cell in found
    )
    figures, tables, ensembles = _report(path, content.get("report"), list(dict.fromkeys(cell.name for cell in found)))
    return Grid(
        name=path.stem,
        title=" ".join(str(title).split()),  # it becomes a line of scripts and pages
        base=read_yaml(base),
        cells=found,
        figures=figures,
        tables=tables,
        ensembles=ensembles,
        settings=given,
        cluster=_cluster(path, content.get("cluster")),
        root=root,
    )


class _Starts:
    """Reads what the cells of a grid file say under `model.start`, and each of the other grids once.

    Args:
        path: The file.
        within: The files of the grids whose cells start from cells of this one.
    """

    def __init__(self, path: Path, within: tuple[Path, ...]) -> None:
        self.path, self.within = path, within
        self.known: dict[str, tuple[str, Grid]] = {}  # by what the file says: what a command line says, and the grid

    def read(self, where: str, said: dict[str, Any]) -> StartCell:
        """The cell of another grid that a mapping names.

        Raises:
            InputError: There is no such grid or cell, or grids start from each other.
        """
        if set(said) != {"grid", "cell"} or not all(isinstance(value, str) for value in said.values()):
            example = "{grid: table3, cell: ResNet-101}"
            raise InputError(f"{where}: {START} is {shown(said)}: write {example}, a path, or null")
        try:
            name, grid = self._other(said["grid"])
        except InputError as error:
            raise InputError(f"{where}: {START}: {error}") from None
        seeds = tuple(cell.seed for cell in grid.cells if cell.name == said["cell"])
        if not seeds:
            near = did_you_mean(said["cell"], [cell.name for cell in grid.cells])
            raise InputError(f"{where}: {START}: {shown(said['cell'])} is no cell of {grid.name}{near}")
        return StartCell(name, said["cell"], seeds)

    def _other(self, name: str) -> tuple[str, Grid]:
        if name not in self.known:
            beside = [
                place for place in (self.path.parent / name, self.path.parent / f"{name}.yaml") if place.is_file()
            ]
            file = beside[0] if beside else find(name, shipped(), "grid")
            chain = tuple(map(Path.resolve, (*self.within, self.path)))
            if file.stem == self.path.stem or file.resolve() in chain:
                whose = "its own cells" if file.stem == self.path.stem else f"{file.stem}, which starts from it"
                raise InputError(f"a grid cannot start from {whose}: put those cells into a grid of their own")
            said = file.stem if file.parent == shipped() else str(file)
            self.known[name] = said, load(said, within=chain)
        return self.known[name]


def _cluster(path: Path, content: Any) -> Cluster:
    """The `cluster` part of a grid: settings, the path of a file beside the grid, or the name of a shipped file."""
    if not isinstance(content, str):
        return cluster.parse(cells.mapping(content, f"{path}: cluster"), f"{path}: cluster")
    beside = path.parent / content
    return cluster.read(beside if os.path.isfile(beside) else find(content, shipped() / "clusters", "cluster file"))


def _report(
    path: Path, report: Any, names: list[str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...], tuple[Ensemble, ...]]:
    """Figures, tables and ensembles that a grid of these cells asks for; no figures are not the same as none named."""
    report = cells.mapping(report, f"{path}: report")
    for key in report:
        if key not in REPORT:
            near = did_you_mean(str(key), REPORT)
            raise InputError(f"{path}: unknown key report.{shown(key)}{near} (known: {', '.join(REPORT)})")
    figures = report.get("figures")
    if figures is not None:
        figures = _names(f"{path}: report.figures", figures, list(exhibits.FIGURES))
    tables = _names(f"{path}: report.tables", report.get("tables"), list(exhibits.TABLES))
    ensembles = tuple(
        _ensemble(f"{path}: report.ensembles.{name}", str(name), content, names)
        for name, content in cells.mapping(report.get("ensembles"), f"{path}: report.ensembles").items()
    )
    for name in tables:
        if exhibits.TABLES[name].ensembles and not ensembles:
            raise InputError(
                f"{path}: report.tables has {name}, which needs ensembles: write some under report.ensembles"
            )
    return figures, tables, ensembles


def _names(where: str, names: Any, known: list[str]) -> tuple[str, ...]:
    """A list of known names, as a tuple."""
    chosen = names or []
    wrong = [name for name in chosen if name not in known] if isinstance(chosen, list) else [chosen]
    if wrong:
        near = did_you_mean(str(wrong[0]), known)
        raise InputError(f"{where} is {shown(names)}: write a list of some of {', '.join(known)}{near}")
    return tuple(chosen)


def _ensemble(where: str, name: str, content: Any, names: list[str]) -> Ensemble:
    example = f"{{cells: [{', '.join(names[:2])}], protocol: multi-scale}}"
    if not re.fullmatch(NAME, name):
        raise InputError(f"{where}: a name becomes a file; use letters, digits and . _ + - alone")
    if not isinstance(content, dict) or set(content) != {"cells", "protocol"}:
        raise InputError(f"{where} is {shown(content)}: write {example}")
    chosen, protocol = content["cells"], content["protocol"]
    if not isinstance(chosen, list) or not chosen:
        raise InputError(f"{where}: cells is {shown(chosen)}: write a list of cells, such as [{', '.join(names[:2])}]")
    for cell in chosen:
        if cell not in names:
            raise InputError(f"{where}: {shown(cell)} is no cell of the grid{did_you_mean(str(cell), names)}")
        if chosen.count(cell) > 1:
            raise InputError(f"{where}: cell {cell} stands twice")
    if protocol not in get_args(Testing):
        near = did_you_mean(str(protocol), get_args(Testing))
        raise InputError(f"{where}: protocol is {shown(protocol)}: write one of {', '.join(get_args(Testing))}{near}")
    return Ensemble(name, tuple(chosen), protocol)


def _settings(settings: Iterable[str], known: tuple[Cell, ...]) -> dict[str, Any]:
    """`KEY=VALUE` texts as a mapping, values as YAML has them."""
    found = {}
    differing = {SEED, *(key for cell in known for key in cell.overrides)}
    for setting in settings:
        key, _, text = setting.partition("=")
        if not text or not all(key.split(".")):
            raise InputError(f"--set {shown(setting)}: write KEY=VALUE, such as data.root=/data/cifar10")
        if key in (SEED, "seeds"):
            raise InputError(f"--set {key}: write --seeds 0 1 2")
        if any(f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.") for other in differing):
            raise InputError(f"--set {key}: this is what the cells of the grid differ in; write a grid of your own")
        found[key] = parse_yaml(text, f"--set {key}")
        cells.check_value(f"--set {key}", key, found[key])
    return found
