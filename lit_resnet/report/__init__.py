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
    """A report that was written.

    Args:
        folder: `<root>/<grid>/report`.
        page: Its index.html.
        files: All its files, the page among them.
        tables: By name: the tables that the grid asks for, and `table`, which every grid has, of all its nets. Each
            has `terminal()`, `csv()`, `json()` and `markdown()`.
        claims: The paper's sentences that the grid has nets for, and what the runs say of them.
        not_drawn: For each figure that could not be drawn, its name and why.
        progress: `17 of 21 runs finished (1 failed, 3 queued)`.
    """

    folder: Path
    page: Path
    files: tuple[Path, ...]
    tables: "dict[str, Table]"
    claims: "Claims"
    not_drawn: tuple[str, ...]
    progress: str

    @property
    def table(self) -> "Table":
        """The table of all nets."""
        return self.tables[exhibits.ALL_NETS.name]


def _names() -> set[str]:
    """The files that reports may have besides those that all have."""
    figures = {f"figures/{name}.{form}" for name, form in product(exhibits.FIGURES, ("svg", "png"))}
    tables = {f"{name}.{form}" for name, form in product(exhibits.TABLES, ("csv", "md", "tex"))}
    return {"claims.csv", "claims.md", *figures, *tables}


def write(asked: Asked, cells: Sequence[str] = ()) -> Report:
    """Write the report of a grid, or of some of its cells, from its run folders.

    The report of some cells has a folder of its own, `report-part`, which the next such report replaces.

    Raises:
        InputError: No such grid or cell, no finished run of it, or a damaged run folder; the message names the file.
    """
    from lit_resnet.report import runs

    found = runs.read(asked, cells)
    # Wherever the folders are, the page is the same.
    command = replace(asked, root=ROOT).command("launch", *cells)
    return _write(found, command, found.folder / ("report-part" if cells else "report"))


def compare(several: Sequence[Asked]) -> Report:
    """Write a report of several grids side by side, from their run folders, into `<root>/<one>+<other>/report`.

    Raises:
        InputError: As `write`; or the grids are of different tasks.
    """
    from lit_resnet.report import runs
    from lit_resnet.report.together import together

    found = together([runs.read(asked) for asked in several], several[0].root)
    command = " && ".join(replace(asked, root=ROOT).command("launch") for asked in several)
    return _write(found, command, found.folder / "report")


def _write(found: "GridRuns", command: str, folder: Path) -> Report:
    """Write the report of some runs, which the command makes, into a folder."""
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
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, content)
    for name in _names() - set(contents):  # of a report when the grid was about something else
        (folder / name).unlink(missing_ok=True)
    not_drawn = tuple(f"{drawing.name}: {drawing.caption}" for drawing in drawings if not drawing.figure)
    files = tuple(folder / name for name in contents)
    return Report(
        folder=folder,
        page=folder / "index.html",
        files=files,
        tables=made,
        claims=checked,
        not_drawn=not_drawn,
        progress=found.progress(),
    )
