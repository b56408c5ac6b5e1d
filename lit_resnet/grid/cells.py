"""The cells of a grid: what `matrix`, `sample`, `exclude` and `include` of its file say together."""

import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError, did_you_mean, shown

SEED, START = "seed_everything", "model.start"
NAME = r"[A-Za-z0-9][A-Za-z0-9._+=,-]{0,199}"  # of a folder or file, which may have 255 letters in all
MOST_SEED = 2**32 - 1  # of numpy's generators
MOST_CELLS = 100_000
DRAWS = ("uniform", "log-uniform")  # ways to draw a number from a range
# A net is called by its depth, as the paper does. Other numbers have their key beside them: `lr=0.1`.
NAMED_BY_NUMBER = "model.net.depth"


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
class Range:
    """Numbers from `low` to `high`, for `sample` to draw from; `log` draws their logarithms."""

    low: float
    high: float
    log: bool

    def draw(self, numbers: random.Random) -> float:
        """A number of three significant digits."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        drawn = numbers.uniform(low, high)
        return float(f"{math.exp(drawn) if self.log else drawn:.3g}")


Axis = dict[str, Any] | Range  # its values by their names


def read(path: Path, content: dict[str, Any], seeds: Sequence[int]) -> tuple[Cell, ...]:
    """The cells in the order of the file, all seeds of a name together.

    Args:
        path: The grid file, for messages.
        content: What it holds.
        seeds: Seeds of every cell, in place of the file's; empty for the file's.

    Raises:
        InputError: Something is wrong; the message names the file, the key, and what to write instead.
    """
    everywhere = _seeds(path, content.get("seeds", [0]))
    given = _seeds("--seeds", list(seeds)) if seeds else None
    cells = tuple(
        Cell(cell, seed, {key: value for key, value in overrides.items() if key != "seeds"})
        for cell, overrides in _overrides(path, content).items()
        for seed in given or _seeds(f"{path}: cell {cell}", overrides.get("seeds", everywhere))
    )
    if not cells:
        raise InputError(f"{path}: no cells: write a matrix, or cells under include")
    return cells


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A mapping, or an empty one where nothing is said.

    Raises:
        InputError: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: write a mapping, not {shown(value)}")
    return value


def check_value(where: str, key: str, value: Any) -> None:
    """Refuse a mapping, which would replace all that the base has below that key.

    One with a class is a value, and one that names a cell to start from.

    Raises:
        InputError: With what to write instead.
    """
    if _of_several(key, value):
        raise InputError(f"{where} is a mapping: write {key}.{shown(next(iter(value), 'x'))} and so on")


def _of_several(key: str, value: Any) -> bool:
    """Whether a value is a mapping of config keys to values, and not one value of the key."""
    return isinstance(value, dict) and key != START and "class_path" not in value


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """For each config key its last part, or all of it where several keys end alike: `depth` for `model.net.depth`."""
    keys = list(keys)
    leaves = [key.rpartition(".")[2] for key in keys]
    return {key: leaf if leaves.count(leaf) == 1 else key for key, leaf in zip(keys, leaves, strict=True)}


def _seeds(where: Path | str, seeds: Any) -> list[int]:
    if not isinstance(seeds, list) or not seeds or any(type(s) is not int or not 0 <= s <= MOST_SEED for s in seeds):
        raise InputError(f"{where}: seeds is {shown(seeds)}: write a list of whole numbers from 0, such as [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds is {shown(seeds)}: a seed stands twice")
    return seeds


def _overrides(path: Path, content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The overrides of each cell by its name."""
    matrix = mapping(content.get("matrix"), f"{path}: matrix")
    for key in matrix:
        _check_key(f"{path}: matrix", key)
    short = short_names(matrix)
    axes = {key: _axis(path, key, short[key], values) for key, values in matrix.items()}
    exclude = content.get("exclude") or []
    if not isinstance(exclude, list):
        raise InputError(f"{path}: exclude is {shown(exclude)}: write a list of mappings of axes to values")
    excluded = [_exclusion(path, axes, entry) for entry in exclude]
    cells: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for point in _points(path, axes, content.get("sample"), excluded):
        name = _joined([name for name, _ in point.values()])
        overrides: dict[str, Any] = {}
        for key, (_, value) in point.items():
            said = value if _of_several(key, value) else {key: value}
            if twice := next((one for one in said if one in overrides), None):
                raise InputError(f"{path}: matrix {key}: {shown(twice)} is on another axis, too")
            overrides |= said
        _add(path, cells, taken, name, overrides)
    for name, overrides in mapping(content.get("include"), f"{path}: include").items():
        _add(path, cells, taken, str(name), mapping(overrides, f"{path}: include {shown(name)}"))
    return cells


Point = dict[str, tuple[str, Any]]  # on each axis the name and the value


def _points(path: Path, axes: dict[str, Axis], sample: Any, excluded: list[dict[str, set[str]]]) -> Iterator[Point]:
    """The points of the matrix that are not excluded: all of them, or a sample."""
    if sample is not None and (type(sample) is not int or not 1 <= sample <= MOST_CELLS or not axes):
        raise InputError(f"{path}: sample is {shown(sample)}: write a number of cells, and a matrix to draw them from")
    ranges = [key for key, axis in axes.items() if isinstance(axis, Range)]
    size = math.prod(len(axis) for axis in axes.values() if not isinstance(axis, Range))
    if not ranges and size <= MOST_CELLS:
        lists = {key: list(axis.items()) for key, axis in axes.items() if not isinstance(axis, Range)}
        points = [dict(zip(lists, point, strict=True)) for point in itertools.product(*lists.values())] if axes else []
        if sample is not None:
            random.Random(0).shuffle(points)
    elif sample is not None:
        points = _drawn(axes, tries=100 * (sample + 100))
    elif ranges:
        raise InputError(f"{path}: matrix {ranges[0]} is a range: write sample: 20, for so many cells of the matrix")
    else:
        raise InputError(
            f"{path}: the matrix has {size:,} cells: write at most {MOST_CELLS:,}, or sample: 20 for some of them"
        )
    kept = (p for p in points if not any(all(p[key][0] in names for key, names in e.items()) for e in excluded))
    yield from itertools.islice(kept, sample)


def _drawn(axes: dict[str, Axis], tries: int) -> Iterator[Point]:
    """Different points, always the same ones: a larger sample begins with the points of a smaller one."""
    numbers, short = random.Random(0), short_names(axes)
    lists = {key: list(axis.items()) for key, axis in axes.items() if not isinstance(axis, Range)}
    seen: set[tuple[str, ...]] = set()
    for _ in range(tries):
        point: Point = {}
        for key, axis in axes.items():
            if isinstance(axis, Range):
                value = axis.draw(numbers)
                point[key] = _name(key, short[key], value), value
            else:
                point[key] = numbers.choice(lists[key])
        names = tuple(name for name, _ in point.values())
        if names not in seen:
            seen.add(names)
            yield point


def _axis(path: Path, key: str, short: str, values: Any) -> Axis:
    """The values of an axis by their names, or a range."""
    if isinstance(values, dict) and len(values) == 1 and (draw := next(iter(values))) in DRAWS:
        return _range(path, key, draw, values[draw])
    if key == START and isinstance(values, dict) and set(values) <= {"grid", "cell"}:
        raise InputError(f"{path}: matrix {key} is {shown(values)}: give the value a name: {{started: {{grid: …}}}}")
    if isinstance(values, dict) and values:
        named = [(str(name), value) for name, value in values.items()]
    elif isinstance(values, list) and values:
        named = [(_name(key, short, value), value) for value in values]
    else:
        raise InputError(
            f"{path}: matrix {key} is {shown(values)}: write a list of values, a mapping of names to values, or a "
            "range such as {log-uniform: [0.001, 1]}"
        )
    axis = dict(named)
    if len(axis) < len(named):
        names = [name for name, _ in named]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: matrix {key}: {shown(twice)} stands twice")
    return axis


def _range(path: Path, key: str, draw: str, ends: Any) -> Range:
    where = f"{path}: matrix {key}: {draw} is {shown(ends)}"
    if not isinstance(ends, list) or len(ends) != 2 or any(type(end) not in (int, float) for end in ends):
        raise InputError(f"{where}: write the two ends of a range, such as [0.001, 1]")
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or draw == "uniform")):
        above = " above 0" if draw == "log-uniform" else ""
        raise InputError(f"{where}: write two numbers{above}, the smaller one first, such as [0.001, 1]")
    return Range(low, high, draw == "log-uniform")


def _name(key: str, short: str, value: Any) -> str:
    """The name of a value on an axis: `A` for itself; for a number, true, false and null with their key: `lr=0.1`."""
    text = _text(value)
    return text if isinstance(value, str) or key == NAMED_BY_NUMBER else f"{short}={text}"


def _text(value: Any) -> str:
    """A value as YAML writes it: `none` for null, `true`, `56`, `A`."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _joined(names: list[str]) -> str:
    """The name of a cell: `plain-20`, and with commas between numbers that have their keys: `plain-lr=0.1,pad=4`."""
    name = names[0]
    for before, after in itertools.pairwise(names):
        name += ("," if "=" in before and "=" in after else "-") + after
    return name


def _exclusion(path: Path, axes: dict[str, Axis], entry: Any) -> dict[str, set[str]]:
    """The points that one exclude entry matches: for each axis in it, the names of the values."""
    wanted = {}
    for key, value in mapping(entry, f"{path}: exclude").items():
        if key not in axes:
            raise InputError(f"{path}: exclude {shown(key)}: not an axis of the matrix{did_you_mean(str(key), axes)}")
        axis = axes[key]
        if isinstance(axis, Range):
            raise InputError(f"{path}: exclude {key}: is a range; write other ends for it")
        names = {name for name, v in axis.items() if name == _text(value) or v == value}
        if not names:
            raise InputError(f"{path}: exclude {key}: {shown(value)} is not on that axis ({', '.join(axis)})")
        wanted[key] = names
    return wanted


def _add(path: Path, cells: dict[str, dict[str, Any]], taken: set[str], name: str, overrides: dict[str, Any]) -> None:
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{path}: cell {shown(name)}: a name becomes a folder; use up to 200 letters, digits and . _ + = , - alone"
        )
    if name.lower() in taken:  # some file systems have one folder for A and a
        raise InputError(f"{path}: cell {name} stands twice; give the values of the axes names that differ")
    if SEED in overrides:
        raise InputError(f"{path}: cell {name}: {SEED} is for seeds: write seeds: [0, 1, 2]")
    for key, value in overrides.items():
        if key != "seeds":
            _check_key(f"{path}: cell {name}", key)
            check_value(f"{path}: cell {name}: {key}", key, value)
    taken.add(name.lower())
    cells[name] = overrides


def _check_key(where: str, key: Any) -> None:
    if not isinstance(key, str) or not all(key.split(".")):
        raise InputError(f"{where}: {shown(key)} is not a config key such as model.net.depth")
