"""The paper's sentences about its nets, checked on what the nets' modules do. They need no runs."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from lit_resnet import paper
from lit_resnet.listing import Columns, Row
from lit_resnet.report import verdicts
from lit_resnet.report.net_claims.sentences import CHECKS, SIMILAR
from lit_resnet.report.verdicts import Claim

if TYPE_CHECKING:
    from rich.table import Table

TITLE = "What the paper says of its nets, and what the nets say"
NOTE = (
    "A number is the printed one if it is so when rounded to the printed digits, or if cut off there, as is said then. "
    f"Similar: within {100 * SIMILAR:g} % (the paper gives no limit). Multiply-adds are of convolutions and fully "
    "connected layers, for one image; parameters include those of BN."
)


def check() -> list[Claim]:
    """Check all sentences, in the order of printed.yaml."""
    return [_checked(name, entry) for name, entry in paper.load()["net_claims"].items()]


def _checked(name: str, entry: dict) -> Claim:
    found = CHECKS[name](entry)
    verdict = "holds" if found.holds else "does not hold"
    return Claim(name, entry["sentence"].format(**entry), entry["where"], verdict, found.evidence)


COLUMNS: Columns = {
    "verdict": lambda r: r["verdict"],
    "the paper": lambda r: r["sentence"],
    "where": lambda r: r["where"],
    "the nets": lambda r: r["evidence"],
}


def rows(claims: list[Claim]) -> list[Row]:
    """A row for each claim; its fields are those of `Claim`."""
    return [asdict(claim) for claim in claims]


def terminal(claims: list[Claim]) -> "Table":
    """For rich's `Console.print`; see `verdicts.terminal`."""
    return verdicts.terminal(TITLE, claims)
