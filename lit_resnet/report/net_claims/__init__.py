"""The paper's sentences about its nets, checked on what the nets' modules do. They need no runs."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lit_resnet import paper
from lit_resnet.listing import Columns, Row
from lit_resnet.report import verdicts
from lit_resnet.report.net_claims.sentences import CHECKS, SIMILAR

if TYPE_CHECKING:
    from rich.table import Table

TITLE = "What the paper says of its nets, and what the nets say"
NOTE = (
    "A number is the printed one if it is so when rounded to the printed digits, or if cut off there, as is said then. "
    f"Similar: within {100 * SIMILAR:g} % (the paper gives no limit). Multiply-adds are of convolutions and fully "
    "connected layers, for one image; parameters include those of BN."
)


@dataclass(frozen=True)
class NetClaim:
    """A sentence of the paper about its nets, and what the nets say of it.

    Args:
        name: Its key in printed.yaml.
        sentence: What the paper says, in our words.
        where: Its section, table or figure.
        verdict: `holds` or `does not hold`.
        evidence: The numbers behind the verdict, in a line.
    """

    name: str
    sentence: str
    where: str
    verdict: str
    evidence: str


def check() -> list[NetClaim]:
    """Check all sentences, in the order of printed.yaml."""
    return [_checked(name, entry) for name, entry in paper.load()["net_claims"].items()]


def _checked(name: str, entry: dict) -> NetClaim:
    found = CHECKS[name](entry)
    verdict = "holds" if found.holds else "does not hold"
    return NetClaim(name, entry["sentence"].format(**entry), entry["where"], verdict, found.evidence)


COLUMNS: Columns = {
    "verdict": lambda r: r["verdict"],
    "the paper": lambda r: r["sentence"],
    "where": lambda r: r["where"],
    "the nets": lambda r: r["evidence"],
}


def rows(claims: list[NetClaim]) -> list[Row]:
    """A row for each claim; its fields are those of `NetClaim`."""
    return [asdict(claim) for claim in claims]


def terminal(claims: list[NetClaim]) -> "Table":
    """For rich's `Console.print`; see `verdicts.terminal`."""
    return verdicts.terminal(TITLE, claims)
