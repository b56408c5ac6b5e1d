"""Sentences of the paper with their verdicts, of nets and of runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table

Verdict = Literal["holds", "does not hold", "not enough runs"]
COLOURS: dict[Verdict, str] = {"holds": "green", "does not hold": "red", "not enough runs": "yellow"}


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and what the runs or the nets say of it.

    Args:
        name: Its key in printed.yaml.
        sentence: What the paper says, in our words.
        where: Its section, table or figure.
        verdict: `holds`, `does not hold` or, of runs, `not enough runs`.
        evidence: The numbers behind the verdict, in a line.
    """

    name: str
    sentence: str
    where: str
    verdict: Verdict
    evidence: str


def terminal(title: str, claims: Iterable[Claim]) -> "Table":
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
