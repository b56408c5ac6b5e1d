"""Errors that a user can put right, and the words that say how."""

import difflib
import re
import reprlib
from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

MOST_LETTERS = 2000  # of an error


class OneLine(Exception):
    """An error whose text is one line for people, whatever names and values of users and strangers are in it."""

    def __str__(self) -> str:
        """Its words, with control characters written out; the middle of very long ones is left out."""
        words = super().__str__()
        if len(words) > MOST_LETTERS:
            words = f"{words[: MOST_LETTERS // 2]} … {words[-MOST_LETTERS // 2 :]}"
        return printable(words)


class InputError(OneLine):
    """Wrong input: its text says what is wrong, where, and what to write instead (exit code 2)."""


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 3, 6, 60, 60


def shown(value: Any) -> str:
    """A user's value as a message shows it: on one line, and not all of a long one."""
    if isinstance(value, str) and re.fullmatch(r"[^\s'\"\d][^\s'\"]{0,99}", value):
        return printable(value)
    return printable(_SHORT.repr(value))


def printable(text: str) -> str:
    """The text with control characters written out (`\\x1b`): names and errors may come from strangers."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known name nearest to `wrong`, or the empty string where none is near."""
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def check_choices(value: Any) -> None:
    """Refuse a dataclass with a value that is not among those of its field's Literal.

    Raises:
        ValueError: With the values to choose from.
    """
    for field in fields(value):
        if get_origin(field.type) is Literal:
            check_choice(field.name, getattr(value, field.name), get_args(field.type))


def check_choice(name: str, given: Any, choices: Collection[str]) -> None:
    """Refuse a value that is none of `choices`; `name` is what the user calls it.

    Raises:
        ValueError: With the values to choose from, and the nearest one.
    """
    if given not in choices:
        wanted = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
        raise ValueError(f"{name} is {given!r}: write {wanted}{did_you_mean(str(given), choices)}")


def check_range(name: str, given: float, least: float, most: float) -> None:
    """Refuse a number outside `least` to `most`; `name` is what the user calls it.

    Raises:
        ValueError: With the two.
    """
    if not least <= given <= most:
        raise ValueError(f"{name} is {given}: write a number from {least} to {most:,}")


class Failure(OneLine):
    """Something ran and failed, and no input was wrong (exit code 1)."""


class Unreachable(Failure):
    """A server does not answer, or refuses what it is sent."""
