"""Code of a user's own, imported by the dotted path that a config, a grid or a command line gives."""

import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from lit_resnet.errors import InputError, shown

# Nets, data sets and their modules: what a file from elsewhere may make of a class that the program has imported.
KINDS = {
    "torch.nn.modules.module.Module",
    "torch.utils.data.dataset.Dataset",
    "lightning.pytorch.core.datamodule.LightningDataModule",
}
_named: set[str] = set()  # modules that the user has named


def is_dotted(value: Any) -> bool:
    """Whether a value is a dotted path, `package.Name`."""
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value))


def module(name: str, where: str) -> Any:
    """Import a module, also one that lies in the current folder.

    Args:
        name: Its dotted name.
        where: What names it, for the message: a key of the config, or an option.

    Raises:
        InputError: It cannot be imported.
    """
    here = os.getcwd()
    if here not in sys.path:  # the script of an installed package does not look there, as `python -m` does
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{where}: {shown(name)} cannot be imported ({error}): run this in the folder where it is, or install it"
        ) from None


def attribute(path: str, where: str) -> Any:
    """What `package.module.Name` means.

    Raises:
        InputError: The module cannot be imported, or has no such name.
    """
    name, _, last = path.rpartition(".")
    found = module(name, where)
    if not hasattr(found, last):
        raise InputError(f"{where}: {name} has no {shown(last)}")
    return getattr(found, last)


def made(path: str, where: str, given: dict[str, Any], offered: dict[str, Any]) -> Any:
    """Call the class or function of a dotted path.

    Args:
        path: The path.
        where: What names it, for the message.
        given: Arguments by name.
        offered: More of them, for what takes arguments of these names; those that are given count more.

    Raises:
        InputError: It cannot be imported, or the call fails, for whatever reason somebody's code has.
    """
    make = attribute(path, where)
    try:
        parameters = inspect.signature(make).parameters.values()
        free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        names = {parameter.name for parameter in parameters}
        return make(**{name: value for name, value in offered.items() if free or name in names} | given)
    except InputError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
        raise InputError(f"{where}: {path} cannot be made: {kind}{' '.join(str(error).split())}") from error


def name(modules: Iterable[str]) -> None:
    """Import modules that the user names (`--import`): from now on a file from elsewhere may use what is in them.

    Raises:
        InputError: One cannot be imported.
    """
    for one in modules:
        module(one, "--import")
        _named.add(one)


def check_named(value: Any, where: str) -> None:
    """Refuse code that a file from elsewhere names, unless the user has named its module.

    A module that is imported is not enough: `os` always is, and a file must not call `os.system`. Of imported modules a
    file may use classes of `KINDS`, as those of a program that has its net, and loads a run of it.

    Args:
        value: What the file says; only a dotted path names such code.
        where: The file.

    Raises:
        InputError: It is no such code.
    """
    if not is_dotted(value):
        return
    place, _, last = value.rpartition(".")
    if any(place == one or place.startswith(f"{one}.") for one in _named):
        return
    found = getattr(sys.modules.get(place), last, None)
    bases = found.__mro__ if isinstance(found, type) else ()
    if not KINDS & {f"{base.__module__}.{base.__qualname__}" for base in bases}:
        raise InputError(
            f"{where}: needs {shown(value)}, code of your own, which is not used because a file says so: add --import "
            f"{shown(place)} to the command; in Python import the module of a class before, or of a function call "
            f"lit_resnet.own_code.name([{place!r}])"
        )
