"""Sentences of the paper with their verdicts, as a terminal shows them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"holds": "green", "does not hold": "red", "not enough runs": "yellow"}


class Judged(Protocol):
    """A sentence, where the paper says it, and the verdict on it with the numbers behind."""

    @property
    def verdict(self) -> str:
        """One of `COLOURS`."""
        ...

    @property
    def sentence(self) -> str:
        """What the paper says."""
        ...

    @property
    def where(self) -> str:
        """Its section, table or figure."""
        ...

    @property
    def evidence(self) -> str:
        """Numbers."""
        ...


def terminal(title: str, claims: Iterable[Judged]) -> "Table":
    """For rich's `Console.print`: verdict, sentence and numbers, folded to the terminal's width."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(max_width=80)
    for claim in claims:
        words = Text(f"{claim.sentence} ").append(f"[{claim.where}]\n{claim.evidence}", style="dim")
        made.add_row(Text(claim.verdict, style=COLOURS[claim.verdict]), words)
    return made
