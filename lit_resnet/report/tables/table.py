"""A table, to be written as Markdown, CSV, JSON or LaTeX, and printed to the terminal."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lit_resnet.listing import json_text

if TYPE_CHECKING:
    from rich.table import Table as RichTable

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table, ready to be written in any format.

    Args:
        title: What is compared.
        header: Column heads, as people read them.
        rows: The cells of the table under `header`, formatted.
        text_columns: How many columns, from the left, are words and not numbers.
        note: What is under the table: on what, how often and where it was run, and what the numbers are.
        records: The same numbers as raw values under the names of the CSV; errors in percent, None where not known.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int
    note: str
    records: tuple[dict[str, Any], ...]

    def files(self) -> dict[str, str]:
        """The contents of its files, by file name extension."""
        return {"csv": self.csv(), "md": self.markdown(), "tex": self.latex()}

    def csv(self) -> str:
        """The records; an empty field where a value is not known."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records)
        return text.getvalue()

    def json(self) -> str:
        """The records, as a list of objects."""
        return json_text(self.records) + "\n"

    def markdown(self) -> str:
        """A table of GitHub's Markdown, its title above and its note below."""
        rule = ["---" if i < self.text_columns else "---:" for i in range(len(self.header))]
        body = [_pipes(map(_markdown, row)) for row in (self.header, *self.rows)]
        lines = [f"**{_markdown(self.title)}**", "", body[0], _pipes(rule), *body[1:], "", _markdown(self.note)]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """A table environment for booktabs."""
        head, *body = (" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows))
        alignment = "l" * self.text_columns + "r" * (len(self.header) - self.text_columns)
        lines = [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{_latex(self.title)}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
            rf"\smallskip\parbox{{\linewidth}}{{{_latex(self.note)}}}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def terminal(self, most: int | None = None) -> "RichTable":
        """For rich's `Console.print`, with at most so many rows. In a narrow terminal numbers are folded, never cut."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=Text(self.title), caption=Text(self.note), caption_justify="left")
        table.box, table.collapse_padding, table.pad_edge = box.SIMPLE_HEAD, True, False
        for i, name in enumerate(self.header):
            side = "left" if i < self.text_columns else "right"
            table.add_column(name.replace(" error", "\nerror"), justify=side, vertical="bottom", overflow="fold")
        for row in self.rows[:most]:
            table.add_row(*map(Text, row))
        return table


def _pipes(fields: Iterable[str]) -> str:
    return "| " + " | ".join(fields) + " |"


def _markdown(text: str) -> str:
    return "<br>".join(re.sub(r"([\\|*_`\[\]<>])", r"\\\1", line) for line in _lines(text))


def _lines(text: str) -> list[str]:
    """The lines of a text, with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines()]


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    "†": r"\dag{}",
    "→": r"$\to$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def _latex(text: str) -> str:
    lines = ["".join(_LATEX.get(sign, sign) for sign in line) for line in _lines(text)]
    if len(lines) < 2:
        return "".join(lines)
    return r"\begin{tabular}[t]{@{}l@{}}" + r" \\ ".join(lines) + r"\end{tabular}"
