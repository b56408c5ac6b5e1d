"""A grid file becomes cells: one complete set of overrides for each run of a table or figure::

    title: Plain and residual nets on digits
    base: recipes/digits.yaml           # a config of `lit-resnet fit`, beside this file
    seeds: [0, 1, 2]
    matrix:                             # every combination is a cell
      model.net.shortcut: {plain: none, residual: A}      # a value's name: the value
      model.net.depth: [20, 56]                           # a value that is its own name
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
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import yaml

import lit_resnet
from lit_resnet import task
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.evaluation import Testing
from lit_resnet.files import read_yaml
from lit_resnet.grid import cluster, exhibits
from lit_resnet.grid.cluster import Cluster
from lit_resnet.task import Task

KEYS = ("title", "base", "seeds", "matrix", "include", "exclude", "report", "cluster")
REPORT = ("figures", "tables", "ensembles")
SEED = "seed_everything"
NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"  # of a folder or file


@dataclass(frozen=True)
class Cell:
    """One run of a grid: its name, its seed and the config keys that differ from the base."""

    name: str
    seed: int
    overrides: dict[str, Any]

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        return f"{self.name}-seed{self.seed}"


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
        figures: Names of the figures that `report` draws, of `exhibits.FIGURES`.
        tables: Names of the tables that `report` writes, of `exhibits.TABLES`.
        ensembles: Its ensembles; the first is set beside the paper's own.
        settings: Config keys that `--set` gives a value, for all cells.
        cluster: What a Slurm cluster is asked for.
    """

    name: str
    title: str
    base: dict[str, Any]
    cells: tuple[Cell, ...]
    figures: tuple[str, ...]
    tables: tuple[str, ...]
    ensembles: tuple[Ensemble, ...]
    settings: dict[str, Any]
    cluster: Cluster

    @cached_property
    def axes(self) -> dict[str, str]:
        """The config keys in which its cells differ, by short names: `depth` for `model.net.depth`."""
        keys = list(dict.fromkeys(key for cell in self.cells for key in cell.overrides))
        leaves = [key.rpartition(".")[2] for key in keys]
        return {leaf if leaves.count(leaf) == 1 else key: key for leaf, key in zip(leaves, keys, strict=True)}

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
            if not any(fnmatchcase(other, name) for other in known):
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
        return replace(self, cells=self.chosen(names), ensembles=())

    @cached_property
    def task(self) -> Task:
        """What its runs are about.

        Raises:
            InputError: The base or a setting names an unknown task.
        """
        return task.of({**self.base, **self.settings})

    def config(self, cell: Cell) -> dict[str, Any]:
        """The cell's config: the base with its overrides and the settings, as nested mappings."""
        config = copy.deepcopy(self.base)
        for key, value in {**cell.overrides, **self.settings, SEED: cell.seed}.items():
            *parents, leaf = key.split(".")
            place = config
            for parent in parents:
                if not isinstance(place.get(parent), dict):
                    place[parent] = {}
                place = place[parent]
            place[leaf] = copy.deepcopy(value)
        return config


def shipped() -> Path:
    """The folder of the grids and recipes that come with the package."""
    package = Path(lit_resnet.__file__).parent
    inside = package / "ablations"  # in an installed wheel; in a checkout it is beside the package
    return inside if inside.is_dir() else package.parent / "ablations"


def find(name: str, folder: Path, what: str) -> Path:
    """The file that `name` means: a path, or the name of a YAML file in `folder`.

    Raises:
        InputError: Neither is there.
    """
    if Path(name).is_file():
        return Path(name)
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name in names:
        return folder / f"{name}.yaml"
    raise InputError(f"{name}: no such {what}{did_you_mean(name, names)} (shipped: {', '.join(names)}; or give a path)")


def load(name: str, settings: Iterable[str] = (), seeds: Sequence[int] = ()) -> Grid:
    """Read a grid by its path or shipped name.

    Args:
        name: The path or name.
        settings: `KEY=VALUE`, for all its cells, such as the place of the data or fewer iterations.
        seeds: Seeds of every cell, in place of the file's; empty for the file's.

    Raises:
        InputError: No such file, or something in it is wrong; the message names the file, the key, and what to write
            instead.
    """
    path = find(name, shipped(), "grid")
    content = read_yaml(path)
    for key in content:
        if key not in KEYS:
            raise InputError(f"{path}: unknown key {key}{did_you_mean(str(key), KEYS)} (known: {', '.join(KEYS)})")
    if not isinstance(content.get("base"), str):
        raise InputError(f"{path}: base is missing: write the path of a recipe, beside this file")
    base = next((p for p in (path.parent / content["base"], shipped() / content["base"]) if p.is_file()), None)
    if base is None:
        raise InputError(f"{path}: base {content['base']}: no such file beside {path.name}, nor shipped")
    everywhere = _seeds(path, content.get("seeds", [0]))
    given = _seeds("--seeds", list(seeds)) if seeds else None
    cells = tuple(
        Cell(cell, seed, {key: value for key, value in overrides.items() if key != "seeds"})
        for cell, overrides in _cells(path, content).items()
        for seed in given or _seeds(f"{path}: cell {cell}", overrides.get("seeds", everywhere))
    )
    if not cells:
        raise InputError(f"{path}: no cells: write a matrix, or cells under include")
    title = str(content.get("title", path.stem))
    figures, tables, ensembles = _report(path, content.get("report"), list(dict.fromkeys(cell.name for cell in cells)))
    return Grid(
        name=path.stem,
        title=title,
        base=read_yaml(base),
        cells=cells,
        figures=figures,
        tables=tables,
        ensembles=ensembles,
        settings=_settings(settings, cells),
        cluster=_cluster(path, content.get("cluster")),
    )


def _cluster(path: Path, content: Any) -> Cluster:
    """The `cluster` part of a grid: settings, the path of a file beside the grid, or the name of a shipped file."""
    if not isinstance(content, str):
        return cluster.parse(_mapping(content, f"{path}: cluster"), f"{path}: cluster")
    beside = path.parent / content
    return cluster.read(beside if beside.is_file() else find(content, shipped() / "clusters", "cluster file"))


def _report(path: Path, report: Any, cells: list[str]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Ensemble, ...]]:
    """Figures, tables and ensembles that a grid of these cells asks for."""
    report = _mapping(report, f"{path}: report")
    for key in report:
        if key not in REPORT:
            near = did_you_mean(str(key), REPORT)
            raise InputError(f"{path}: unknown key report.{key}{near} (known: {', '.join(REPORT)})")
    figures = _names(f"{path}: report.figures", report.get("figures"), list(exhibits.FIGURES))
    tables = _names(f"{path}: report.tables", report.get("tables"), list(exhibits.TABLES))
    ensembles = tuple(
        _ensemble(f"{path}: report.ensembles.{name}", str(name), content, cells)
        for name, content in _mapping(report.get("ensembles"), f"{path}: report.ensembles").items()
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
        raise InputError(f"{where} is {names}: write a list of some of {', '.join(known)}{near}")
    return tuple(chosen)


def _ensemble(where: str, name: str, content: Any, cells: list[str]) -> Ensemble:
    example = f"{{cells: [{', '.join(cells[:2])}], protocol: multi-scale}}"
    if not re.fullmatch(NAME, name):
        raise InputError(f"{where}: a name becomes a file; use letters, digits and . _ + - alone")
    if not isinstance(content, dict) or set(content) != {"cells", "protocol"}:
        raise InputError(f"{where} is {content!r}: write {example}")
    chosen, protocol = content["cells"], content["protocol"]
    if not isinstance(chosen, list) or not chosen:
        raise InputError(f"{where}: cells is {chosen!r}: write a list of cells, such as [{', '.join(cells[:2])}]")
    for cell in chosen:
        if cell not in cells:
            raise InputError(f"{where}: {cell!r} is no cell of the grid{did_you_mean(str(cell), cells)}")
        if chosen.count(cell) > 1:
            raise InputError(f"{where}: cell {cell} stands twice")
    if protocol not in get_args(Testing):
        near = did_you_mean(str(protocol), get_args(Testing))
        raise InputError(f"{where}: protocol is {protocol!r}: write one of {', '.join(get_args(Testing))}{near}")
    return Ensemble(name, tuple(chosen), protocol)


def _settings(settings: Iterable[str], cells: tuple[Cell, ...]) -> dict[str, Any]:
    """`KEY=VALUE` texts as a mapping, values as YAML has them."""
    found = {}
    differing = {SEED, *(key for cell in cells for key in cell.overrides)}
    for setting in settings:
        key, _, text = setting.partition("=")
        if not text or not all(key.split(".")):
            raise InputError(f"--set {setting}: write KEY=VALUE, such as data.root=/data/cifar10")
        if any(f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.") for other in differing):
            raise InputError(f"--set {key}: this is what the cells of the grid differ in; write a grid of your own")
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"--set {setting}: the value is not YAML") from None
        _check_value(f"--set {key}", key, found[key])
    return found


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: write a mapping, not {value!r}")
    return value


def _seeds(where: Path | str, seeds: Any) -> list[int]:
    if not isinstance(seeds, list) or not seeds or any(type(s) is not int or s < 0 for s in seeds):
        raise InputError(f"{where}: seeds is {seeds!r}: write a list of whole numbers from 0, such as [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds is {seeds}: a seed stands twice")
    return seeds


def _cells(path: Path, content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Overrides by cell name, after exclude and include."""
    matrix = _mapping(content.get("matrix"), f"{path}: matrix")
    axes = {key: _values(path, key, values) for key, values in matrix.items()}
    exclude = content.get("exclude") or []
    if not isinstance(exclude, list):
        raise InputError(f"{path}: exclude is {exclude!r}: write a list of mappings of axes to values")
    excluded = [_exclusion(path, axes, entry) for entry in exclude]
    cells: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for names in itertools.product(*axes.values()) if axes else ():
        point = dict(zip(axes, names, strict=True))
        if not any(all(point[key] in wanted for key, wanted in entry.items()) for entry in excluded):
            _add(path, cells, taken, "-".join(names), {key: axes[key][name] for key, name in point.items()})
    for name, overrides in _mapping(content.get("include"), f"{path}: include").items():
        _add(path, cells, taken, str(name), _mapping(overrides, f"{path}: include {name}"))
    return cells


def _values(path: Path, key: str, values: Any) -> dict[str, Any]:
    """An axis as {name: value}."""
    if isinstance(values, dict) and values:
        return {str(name): value for name, value in values.items()}
    if isinstance(values, list) and values:
        return {_name(value): value for value in values}
    raise InputError(f"{path}: matrix {key} is {values!r}: write a list of values, or a mapping of names to values")


def _name(value: Any) -> str:
    """A value as YAML writes it: `none` for null, `true`, `56`, `A`."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _exclusion(path: Path, axes: dict[str, dict[str, Any]], entry: Any) -> dict[str, set[str]]:
    """The points that one exclude entry matches: for each axis in it, the names of the values."""
    wanted = {}
    for key, value in _mapping(entry, f"{path}: exclude").items():
        if key not in axes:
            raise InputError(f"{path}: exclude {key}: not an axis of the matrix{did_you_mean(str(key), axes)}")
        names = {name for name, v in axes[key].items() if name == _name(value) or v == value}
        if not names:
            raise InputError(f"{path}: exclude {key}: {value!r} is not on that axis ({', '.join(axes[key])})")
        wanted[key] = names
    return wanted


def _add(path: Path, cells: dict[str, dict[str, Any]], taken: set[str], name: str, overrides: dict[str, Any]) -> None:
    if not re.fullmatch(NAME, name):
        raise InputError(f"{path}: cell {name!r}: a name becomes a folder; use letters, digits and . _ + - alone")
    if name.lower() in taken:  # some file systems have one folder for A and a
        raise InputError(f"{path}: cell {name} stands twice; give the values of the axes names that differ")
    if SEED in overrides:
        raise InputError(f"{path}: cell {name}: {SEED} is for seeds: write seeds: [0, 1, 2]")
    for key, value in overrides.items():
        if key == "seeds":
            continue
        if not isinstance(key, str) or not all(key.split(".")):
            raise InputError(f"{path}: cell {name}: {key!r} is not a config key such as model.net.depth")
        _check_value(f"{path}: cell {name}: {key}", key, value)
    taken.add(name.lower())
    cells[name] = overrides


def _check_value(where: str, key: str, value: Any) -> None:
    """Refuse a mapping, which would replace all that the base has below that key."""
    if isinstance(value, dict) and "class_path" not in value:
        raise InputError(f"{where} is a mapping: write {key}.{next(iter(value), 'x')} and so on")


def value_at(config: Any, key: str) -> Any:
    """The value of `model.net.depth`, say, in a nested config; None where there is none."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
