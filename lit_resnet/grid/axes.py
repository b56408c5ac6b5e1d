"""The axes of a grid: the config keys in which its cells differ, with the value of every cell.

Where neither a cell nor the recipe says a value, it is the default of that key, which is known from the complete
config of any run of the grid that has begun: a finished run has it in its summary. One file is read, not one a run.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Grid
from lit_resnet.grid.start import StartCell
from lit_resnet.nested import value_at
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.sameness import FREE

LONGEST = 40  # letters of a value that is no number, such as a list of callbacks
NOT_SAID = object()
Plain = bool | int | float | str | None


@dataclass(frozen=True)
class Axis:
    """A config key in which cells of a grid differ.

    Args:
        name: Its short name: `lr`.
        key: `model.rate.lr`.
        raw: The value of each cell, by the cell's name; None for null, and where it is not known.
    """

    name: str
    key: str
    raw: dict[str, Any]

    @cached_property
    def plain(self) -> dict[str, Plain]:
        """The values as a number, a word, true, false or None; lists and classes as short texts, different ones apart.

        Such a text is `[EarlyStopping]`, with arguments where names alone do not tell the values apart.
        """
        coded = {cell: _code(value) for cell, value in self.raw.items()}
        values = {code: self.raw[cell] for cell, code in coded.items()}
        short = {code: _short(value, arguments=False) for code, value in values.items()}
        for code, value in values.items():
            if isinstance(value, list | dict) and list(short.values()).count(short[code]) > 1:
                short |= {code: _short(value, arguments=True) for code, value in values.items()}
        for number, (code, text) in enumerate(list(short.items()), start=1):
            if isinstance(values[code], list | dict) and list(short.values()).count(text) > 1:
                short[code] = f"{text} ({number})"
        return {cell: short[code] for cell, code in coded.items()}

    @property
    def values(self) -> list[Plain]:
        """The different values, numbers by size before words, None last."""
        return sorted(dict.fromkeys(self.plain.values()), key=_rank)

    @property
    def varies(self) -> bool:
        """Whether two cells differ in it: the base may say what an override says."""
        return len(set(map(_code, self.raw.values()))) > 1

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.raw.values())

    @property
    def of_the_net(self) -> bool:
        """Whether it says which net is trained."""
        return self.key.startswith("model.net.")

    @property
    def free(self) -> bool:
        """Whether it may differ between nets that are compared: it changes no result, or is the warm-up."""
        return self.key.rpartition(".")[2] in FREE

    def text(self, cell: str) -> str:
        """The value of a cell for people: `0.1`, `true`, `A`; a dash for None."""
        return text(self.plain[cell])


def text(value: Plain) -> str:
    """A value for people: `0.1`, `true`, `A`; a dash for None."""
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def read(grid: Grid, root: Path) -> tuple[Axis, ...]:
    """The axes of a grid whose runs are below `root`, in the order of the file."""
    cells: dict[str, list[Cell]] = {}
    for cell in grid.cells:
        cells.setdefault(cell.name, []).append(cell)

    @cache
    def complete(name: str) -> dict[str, Any]:
        folders = (RunFolder(root / grid.name / cell.folder) for cell in cells[name])
        return next(filter(None, map(_complete, folders)), {})

    found = []
    for short, key in grid.axes.items():
        raw = {name: said(grid, seeds[0], key) for name, seeds in cells.items()}
        silent = [name for name, value in raw.items() if value is NOT_SAID]
        default = next((value_at(config, key) for name in silent if (config := complete(name))), None)
        found.append(Axis(short, key, raw | dict.fromkeys(silent, default)))
    return tuple(found)


def said(grid: Grid, cell: Cell, key: str) -> Any:
    """What a cell, a setting or the recipe says under a config key; `NOT_SAID` where none does."""
    given = {**cell.overrides, **grid.settings}
    if key in given:
        return given[key]
    for other, value in given.items():  # a class, whose arguments it has
        if key.startswith(f"{other}."):
            return value_at(value, key.removeprefix(f"{other}."))
    place: Any = grid.base
    for part in key.split("."):
        if not isinstance(place, dict) or part not in place:
            return NOT_SAID
        place = place[part]
    return place


def columns(axes: Collection[Axis], taken: Collection[str]) -> dict[str, Axis]:
    """The axes by the names of their columns: short, but the whole key where another column has that name."""
    return {axis.key if axis.name in taken else axis.name: axis for axis in axes}


def _complete(run: RunFolder) -> dict[str, Any]:
    """The complete config of a run that has begun; empty where it has not, or its files are damaged."""
    try:
        summary = run.summary()
        return (summary.config if summary else {}) or run.config()
    except InputError:
        return {}


def _code(value: Any) -> str:
    """Equal values have equal codes; 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**53 else value
    return json.dumps(value, sort_keys=True, default=str)


def _short(value: Any, arguments: bool) -> Plain:
    """A value as a number or a word; of what is neither, the first letters. Classes have their arguments, or not."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, StartCell):
        return str(value)
    words = _words(value, arguments)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _words(value: Any, arguments: bool, levels: int = 4) -> str:
    """A list or a class in words, down to so many levels: `[EarlyStopping(monitor=test_error, patience=3)]`."""
    if not levels:
        return "…"
    if isinstance(value, list):
        return f"[{', '.join(_words(item, arguments, levels - 1) for item in value)}]"
    if isinstance(value, dict) and isinstance(value.get("class_path"), str):
        given = value.get("init_args") if arguments else None
        pairs = given.items() if isinstance(given, dict) else ()
        said = ", ".join(f"{name}={_words(one, arguments, levels - 1)}" for name, one in pairs)
        return value["class_path"].rpartition(".")[2] + (f"({said})" if said else "")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _rank(value: Plain) -> tuple[int, float, str]:
    if value is None:
        return 2, 0.0, ""
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, value)
