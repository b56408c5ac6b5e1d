"""What a shell completes: verbs, options, grids, cells and paths, by argcomplete.

A word is completed by what the help calls it, its metavar. Nothing here imports torch, as the shell waits.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from argcomplete.finders import CompletionFinder

from lit_resnet.errors import InputError
from lit_resnet.grid.grid import load, shipped
from lit_resnet.runfolder import zoo
from lit_resnet.runfolder.card import SUFFIX

PATTERN = set("*?[")  # letters of a name that means several cells


class Finder(CompletionFinder):
    """Finds what a word can become; options only once a dash is typed."""

    def __init__(self, argument_parser: argparse.ArgumentParser | None = None, **_: Any) -> None:
        # When a finder is called, argcomplete makes it anew with its own defaults for the other arguments.
        super().__init__(argument_parser, always_complete_options=False)
        for action in _actions(argument_parser) if argument_parser else ():
            if action.choices is None:
                vars(action)["completer"] = KINDS.get(str(action.metavar), _nothing)

    def collect_completions(
        self, active_parsers: list[argparse.ArgumentParser], parsed_args: argparse.Namespace, cword_prefix: str
    ) -> list[str]:
        """What the word can become; argcomplete calls it.

        More cells may follow an option, as verbs use `parse_intermixed_args`; argcomplete does not expect that.
        """
        parser: Any = active_parsers[-1]  # argcomplete has noted there what the word may belong to
        if not parser.active_actions:
            parser.active_actions = [
                action for action in _actions(parser) if not action.option_strings and action.nargs in ("*", "+")
            ]
        return super().collect_completions(active_parsers, parsed_args, cword_prefix)


def answer(parser: argparse.ArgumentParser) -> None:
    """Tell the shell what can follow on the line that it has put into the environment, and end the process."""
    Finder()(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options and words of a parser, and of the verbs below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _actions(verb)


def _nothing(**_: object) -> tuple[str, ...]:
    return ()


def _cells(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Cells of the grid that is named before, and its run folders once more is typed than a cell; never for a pattern.

    None of a grid that is damaged: the verb itself says what is wrong.
    """
    name = getattr(parsed_args, "grid", None)
    if not name or PATTERN & set(prefix):
        return []
    try:
        cells = load(name).cells
    except (InputError, OSError):
        return []
    found = [cell.name for cell in cells if cell.name.startswith(prefix)]
    return list(dict.fromkeys(found)) or [cell.folder for cell in cells if cell.folder.startswith(prefix)]


def _cells_or_grids(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    return [*_cells(prefix, parsed_args), *_shipped("", prefix)]


def _shipped(kind: str, prefix: str, **_: object) -> list[str]:
    """Names of the shipped files of a kind, a folder of `ablations/`, and YAML files of one's own."""
    names = [path.stem for path in (shipped() / kind).glob("*.yaml")]
    return names + _paths(lambda name: name.endswith(".yaml"), prefix)


def _paths(wanted: Callable[[str], bool], prefix: str, **_: object) -> list[str]:
    """Folders, and the files with a name that is wanted; hidden ones once a dot is typed."""
    start = os.path.basename(prefix)
    folder = prefix.removesuffix(start)
    place = os.path.expanduser(folder) or "."
    try:
        names = [name for name in os.listdir(place) if name.startswith(start) and name.isprintable()]
    except (OSError, ValueError):  # no folder, or nothing that could be one
        return []
    names = names if start else [name for name in names if not name.startswith(".")]
    folders = [name for name in names if os.path.isdir(os.path.join(place, name))]
    files = set(filter(wanted, names)) - set(folders)
    return [*(f"{folder}{name}/" for name in folders), *(folder + name for name in files)]


def _nets(prefix: str, **_: object) -> list[str]:
    """Names of the model zoo, run folders, and files of `export`."""
    return [*zoo.shipped(), *_paths(lambda name: name.endswith(SUFFIX), prefix)]


_folders, _files = partial(_paths, lambda name: False), partial(_paths, lambda name: True)

# By metavar.
KINDS: dict[str, Callable[..., object]] = {
    "CELL": _cells,
    "CELL|GRID": _cells_or_grids,
    "CLUSTER": partial(_shipped, "clusters"),
    "DIR": _folders,
    "FILE": _files,
    "GRID": partial(_shipped, ""),
    "IMAGE": _files,
    "NET": _nets,
    "RECIPE": partial(_shipped, "recipes"),
    "RUN": _folders,
    "SOURCE": _folders,
    "TARGET": _folders,
}
