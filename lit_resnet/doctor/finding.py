"""What a check has found."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from lit_resnet.errors import printable
from lit_resnet.grid.cluster import Cluster
from lit_resnet.listing import Columns

State = Literal["ok", "advice", "wrong", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Args:
        state: `ok`: it works. `advice`: it works, and could be better. `wrong`: runs will fail or their numbers cannot
            be trusted. `unknown`: it could not be checked here.
        text: What was found, with numbers; for `unknown`, why it could not be checked.
        todo: What the user should do; needed for `advice` and `wrong`.
        measured: Numbers that settings are recommended from, and that programs read.
    """

    state: State
    text: str
    todo: str = ""
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.state in ("advice", "wrong") and not self.todo:
            raise ValueError(f"{self.text}: a finding that is not ok says what to do")

    def row(self, check: str) -> dict[str, Any]:
        """As a row of a listing."""
        return {"check": check, **asdict(self)}


def ok(text: str, **measured: Any) -> Finding:
    """It works."""
    return Finding("ok", text, measured=measured)


def advice(text: str, todo: str, **measured: Any) -> Finding:
    """It works, and could be better."""
    return Finding("advice", text, todo, measured)


def wrong(text: str, todo: str, **measured: Any) -> Finding:
    """Runs will fail, or their numbers cannot be trusted."""
    return Finding("wrong", text, todo, measured)


def unknown(why: str) -> Finding:
    """It could not be checked here."""
    return Finding("unknown", why)


STYLES = {"ok": "green", "advice": "yellow", "wrong": "bold red", "unknown": "dim"}
COLUMNS: Columns = {
    "check": lambda r: r["check"],
    "state": lambda r: r["state"],
    "finding": lambda r: r["text"],
    "to do": lambda r: r["todo"],
}


def line(check: str, finding: Finding) -> Table:
    """A finding on a line, which wraps in a narrow terminal; what to do is on a line of its own below."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (max(map(len, STYLES)), 9, None):
        table.add_column(width=width, overflow="fold")
    state = Text(finding.state, STYLES[finding.state])
    table.add_row(state, Text(check), Text(printable(finding.text)))
    if finding.todo:
        table.add_row("", "", Text(f"-> {printable(finding.todo)}"))
    return table


@dataclass(frozen=True)
class Site:
    """What is examined.

    Args:
        root: The folder that is to hold the run folders; it may not be there yet.
        cluster: Settings of Slurm's jobs.
        token: A word that the machine which sent the doctor here has put into the root, in the file `seen`; empty
            where it was not sent.
    """

    root: Path
    cluster: Cluster
    token: str = ""

    @property
    def folder(self) -> Path:
        """The root, or the folder in which it would be made."""
        root = self.root.absolute()
        return next(folder for folder in (root, *root.parents) if folder.is_dir())
