"""Code of a user's own, imported by the dotted path that a config, a grid or a command line gives."""

import importlib
import inspect
import os
import re
import sys
from typing import Any

from lit_resnet.errors import InputError, shown


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


def check_named(value: Any, where: str) -> None:
    """Refuse to import code because a file from elsewhere names it; a module that is imported was named by the user.

    Args:
        value: What the file says; only a dotted path names such code.
        where: The file.

    Raises:
        InputError: Its module is not imported.
    """
    if is_dotted(value) and (name := value.rpartition(".")[0]) not in sys.modules:
        raise InputError(
            f"{where}: needs {shown(value)}, code of your own, which is not imported because a file says so: import "
            f"{shown(name)} first, or add --import {shown(name)} to the command"
        )
