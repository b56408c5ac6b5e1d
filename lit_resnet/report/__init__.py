"""Reports: the paper's tables, figures and sentences, and a page around them, from run folders alone::

    from lit_resnet.grid.asked import Asked
    from lit_resnet.report import write
    report = write(Asked("quickstart"))             # runs/quickstart/report/index.html, table.*, claims.*, figures/*
    for table in report.tables.values():
        rich.print(table.terminal())

Nothing here imports torch, lightning or wandb; matplotlib and jinja2 are imported when a report is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.files import write_whole
from lit_resnet.grid import exhibits
from lit_resnet.grid.asked import ROOT, Asked

if TYPE_CHECKING:
    from lit_resnet.report.claims import Claims
    from lit_resnet.report.runs import GridRuns
    from lit_resnet.report.tables.table import Table


@dataclass(frozen=True)
class Report:
    """A report.

    Args:
        folder: `<root>/<grid>/report`, where its files are written.
        contents: By their names in that folder, what its files hold.
        tables: By name: the tables that the grid asks for, and `table`, which every grid has, of all its nets. Each
            has `terminal()`, `csv()`, `json()` and `markdown()`.
        claims: The paper's sentences that the grid has nets for, and what the runs say of them.
        not_drawn: For each figure that could not be drawn, its name and why.
        progress: `17 of 21 runs finished (1 failed, 3 queued)`.
    """

    folder: Path
    contents: dict[str, str | bytes]
    tables: "dict[str, Table]"
    claims: "Claims"
    not_drawn: tuple[str, ...]
    progress: str

    @property
    def table(self) -> "Table":
        """The table of all nets."""
        return self.tables[exhibits.ALL_NETS.name]

    @property
    def page(self) -> Path:
        """Its index.html."""
        return self.folder / "index.html"

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files, the page among them."""
        return tuple(self.folder / name for name in self.contents)

    def write(self) -> None:
        """Write its files.

        Raises:
            OSError: The folder cannot be written.
        """
        for name, content in self.contents.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / name, content)
        figures = {f"figures/{name}.{form}" for name, form in product(exhibits.FIGURES, ("svg", "png"))}
        tables = {f"{name}.{form}" for name, form in product(exhibits.TABLES, ("csv", "md", "tex"))}
        for name in {"claims.csv", "claims.md", *figures, *tables} - set(self.contents):
            (self.folder / name).unlink(missing_ok=True)  # of a report when the grid was about something else


def write(asked: Asked, cells: Sequence[str] = ()) -> Report:
    """Make the report of a grid, or of some of its cells, and write its files.

    Raises:
        InputError: As `make`.
        OSError: The folder cannot be written.
    """
    made = make(asked, cells)
    made.write()
    return made


def make(asked: Asked, cells: Sequence[str] = ()) -> Report:
    """Make the report of a grid, or of some of its cells, from its run folders; writes nothing.

    The report of some cells has a folder of its own, `report-part`, which the next such report replaces.

    Raises:
        InputError: No such grid or cell, no finished run of it, or a damaged run folder; the message names the file.
    """
    from lit_resnet.report import runs

    found = runs.read(asked, cells)
    # Wherever the folders are, the page is the same.
    command = replace(asked, root=ROOT).command("launch", *cells)
    return _make(found, command, found.folder / ("report-part" if cells else "report"))


def compare(several: Sequence[Asked]) -> Report:
    """Make a report of several grids side by side from their run folders, for `<root>/<one>+<other>/report`.

    Raises:
        InputError: As `make`; or the grids are of different tasks.
    """
    from lit_resnet.report import runs
    from lit_resnet.report.together import together

    found = together([runs.read(asked) for asked in several], several[0].root)
    command = " && ".join(replace(asked, root=ROOT).command("launch") for asked in several)
    return _make(found, command, found.folder / "report")


def _make(found: "GridRuns", command: str, folder: Path) -> Report:
    """The report of some runs, which the command makes, for a folder."""
    from lit_resnet.report import claims, figures, page, tables
    from lit_resnet.report.figures import curves
    from lit_resnet.report.figures.drawing import render

    made = tables.make(found)
    checked = claims.check(found)
    drawings = figures.draw(found)
    drawn = [drawing for drawing in drawings if drawing.figure]
    svgs = {drawing.name: render(drawing, "svg").decode() for drawing in drawn}
    contents: dict[str, str | bytes] = {
        **{f"figures/{name}.svg": svg for name, svg in svgs.items()},
        **{f"figures/{drawing.name}.png": render(drawing, "png") for drawing in drawn},
        **{f"{name}.{form}": text for name, table in made.items() for form, text in table.files().items()},
        **({"claims.csv": checked.csv(), "claims.md": checked.markdown()} if checked.found else {}),
        "curves.csv.gz": curves.archive(found),
        "index.html": page.html(
            command=command,
            runs=found,
            checked=checked,
            tables=made,
            drawings=drawings,
            svgs=svgs,
        ),
    }
    return Report(
        folder=folder,
        contents=contents,
        tables=made,
        claims=checked,
        not_drawn=tuple(f"{drawing.name}: {drawing.caption}" for drawing in drawings if not drawing.figure),
        progress=found.progress(),
    )
