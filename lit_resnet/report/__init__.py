"""Reports: the paper's tables, figures and sentences, and a page around them, from run folders alone::

    from lit_resnet.report import write
    report = write("quickstart", Path("runs"))      # runs/quickstart/report/index.html, table.*, claims.*, figures/*
    for table in report.tables.values():
        rich.print(table.terminal())

Nothing here imports torch, lightning or wandb; matplotlib and jinja2 are imported when a report is written.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.files import write_whole

if TYPE_CHECKING:
    from lit_resnet.report.claims.check import Claims
    from lit_resnet.report.tables.table import Table


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Args:
        folder: `<root>/<grid>/report`.
        page: Its index.html.
        files: All its files, the page among them.
        tables: The paper's tables that the grid asks for, `table2` to `table5`, and `table`, which every grid has, of
            all its nets; for `terminal()`, `csv()`, `json()` or `markdown()`.
        claims: The paper's sentences and what the runs say of them; there may be none.
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
        """That of all nets."""
        return self.tables["table"]


def write(grid_name: str, root: Path, settings: Sequence[str] = ()) -> Report:
    """Write the report of a grid (its shipped name or path, and settings) whose run folders are under `root`.

    Raises:
        InputError: No such grid, no finished run of it, or a damaged run folder; the message names the file.
    """
    from lit_resnet.report import runs
    from lit_resnet.report.claims import check as claims
    from lit_resnet.report.figures import curves
    from lit_resnet.report.figures import draw as figures
    from lit_resnet.report.figures.drawing import render
    from lit_resnet.report.page import page
    from lit_resnet.report.tables import imagenet
    from lit_resnet.report.tables import table as tables

    found = runs.read(grid_name, root, settings)
    made = {**imagenet.make(found), "table": tables.make(found)}
    checked = claims.check(found)
    drawings = figures.draw(found)
    drawn = [drawing for drawing in drawings if drawing.figure]
    svgs = {drawing.name: render(drawing, "svg").decode() for drawing in drawn}
    contents: dict[str, str | bytes] = {
        **{f"figures/{name}.svg": svg for name, svg in svgs.items()},
        **{f"figures/{drawing.name}.png": render(drawing, "png") for drawing in drawn},
        **{f"{name}.{form}": text for name, table in made.items() for form, text in table.files().items()},
        "claims.csv": checked.csv(),
        "claims.md": checked.markdown(),
        "curves.csv.gz": curves.archive(found),
        "index.html": page.html(
            shlex.join([grid_name, *(f"--set={setting}" for setting in settings)]),
            *(found, checked, made, drawings, svgs),
        ),
    }
    folder = found.folder / "report"
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, content)
    not_drawn = tuple(f"{drawing.name}: {drawing.caption}" for drawing in drawings if not drawing.figure)
    files = tuple(folder / name for name in contents)
    return Report(folder, folder / "index.html", files, made, checked, not_drawn, found.progress())
