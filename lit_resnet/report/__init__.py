"""Reports: the paper's tables, figures and sentences, and a page around them, from run folders alone.

    from lit_resnet.report import write
    report = write("quickstart", Path("runs"))      # runs/quickstart/report/index.html, table.*, claims.*, figures/*
    rich.print(report.table.terminal())

Nothing here imports torch, lightning or wandb; matplotlib and jinja2 are imported when a report is written.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.runfolder import write_whole

if TYPE_CHECKING:
    from lit_resnet.report.claims import Claims
    from lit_resnet.report.tables import Table


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Args:
        folder: `<root>/<grid>/report`.
        page: Its index.html.
        files: All its files, the page among them.
        table: The table, for `terminal()`, `csv()`, `json()` or `markdown()`.
        claims: The paper's sentences and what the runs say of them; there may be none.
        not_drawn: For each figure that could not be drawn, its name and why.
        progress: `17 of 21 runs finished (1 failed, 3 queued)`.
    """

    folder: Path
    page: Path
    files: tuple[Path, ...]
    table: "Table"
    claims: "Claims"
    not_drawn: tuple[str, ...]
    progress: str


def write(grid_name: str, root: Path, settings: Sequence[str] = ()) -> Report:
    """Write the report of a grid (its shipped name or path, and settings) whose run folders are under `root`.

    Raises:
        InputError: No such grid, no finished run of it, or a damaged run folder; the message names the file.
    """
    from lit_resnet.report import claims, curves, figures, page, runs, tables
    from lit_resnet.report.drawing import render

    found = runs.read(grid_name, root, settings)
    table = tables.make(found)
    checked = claims.check(found)
    drawings = figures.draw(found)
    drawn = [drawing for drawing in drawings if drawing.figure]
    svgs = {drawing.name: render(drawing, "svg").decode() for drawing in drawn}
    contents: dict[str, str | bytes] = {
        **{f"figures/{name}.svg": svg for name, svg in svgs.items()},
        **{f"figures/{drawing.name}.png": render(drawing, "png") for drawing in drawn},
        "table.csv": table.csv(),
        "table.md": table.markdown(),
        "table.tex": table.latex(),
        "claims.csv": checked.csv(),
        "claims.md": checked.markdown(),
        "curves.csv.gz": curves.archive(found),
        "index.html": page.html(
            shlex.join([grid_name, *(f"--set={setting}" for setting in settings)]),
            *(found, checked, table, drawings, svgs),
        ),
    }
    folder = found.folder / "report"
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, content)
    not_drawn = tuple(f"{drawing.name}: {drawing.caption}" for drawing in drawings if not drawing.figure)
    files = tuple(folder / name for name in contents)
    return Report(folder, folder / "index.html", files, table, checked, not_drawn, found.progress())
