"""The one exception for what a user can mend."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Wrong input: its text is one line that says what is wrong, where, and what to write instead (exit code 2)."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known name nearest to `wrong`, or the empty string where none is near."""
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class Unreachable(Exception):
    """A server does not answer, or does not take what it is told; in one line."""
