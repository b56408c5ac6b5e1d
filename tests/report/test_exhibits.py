"""A figure or a table is a function and an entry: what stands in the list, and what one more entry is enough for."""

import sys
from pkgutil import resolve_name
from types import ModuleType

import pytest
from matplotlib.figure import Figure

from lit_resnet.errors import InputError
from lit_resnet.grid import exhibits
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.exhibits import FigureEntry, TableEntry
from lit_resnet.grid.grid import load
from lit_resnet.metrics import TEST_ERROR
from lit_resnet.report import figures, runs, write
from lit_resnet.report.tables.table import Table
from lit_resnet.runfolder.records import RESPONSES


def parameters(cells):
    """The function of a new figure."""
    if not cells:
        return None, "No finished run of a plain net."
    figure = Figure(figsize=(4, 3))
    errors = [cell.over_seeds(TEST_ERROR).mean for cell in cells]
    figure.subplots().scatter([cell.summary.params for cell in cells], errors)
    return figure, f"Test error over parameters of {len(cells)} nets."


def seconds(found):
    """The function of a new table."""
    records = tuple({"run": run.folder.path.name, "seconds": run.summary.wall_seconds} for run in found.finished)
    return Table(
        title="How long the runs took",
        header=("run", "seconds"),
        rows=tuple((record["run"], f"{record['seconds']:.0f}") for record in records),
        text_columns=1,
        note="Wall time.",
        records=records,
    )


@pytest.fixture
def added(monkeypatch):
    """A figure and a table of one's own, as docs/extending says: each a function and an entry."""
    for wing, function in (("figures", parameters), ("tables", seconds)):
        module = ModuleType("mine")
        module.make = function
        monkeypatch.setitem(sys.modules, f"lit_resnet.report.{wing}.mine", module)
    figure = FigureEntry(
        name="parameters",
        title="Error and size",
        about="test error over parameters",
        draw="mine:make",
        nets=("plain",),
        panels="images",
    )
    table = TableEntry(name="seconds", title="Time", about="how long each run took", make="mine:make")
    monkeypatch.setitem(exhibits.FIGURES, figure.name, figure)
    monkeypatch.setitem(exhibits.TABLES, table.name, table)


@pytest.fixture
def grid(lab):
    for seed in (0, 1):
        lab.finish("plain-20", seed, shortcut="none")
        lab.finish("residual-20", seed)
    report = {"figures": ["fig6", "parameters"], "tables": ["seconds"]}
    return lab.grid(["plain-20", "residual-20"], seeds=[0, 1], report=report)


def test_every_entry_names_a_function():
    for wing, entries in (("figures", exhibits.FIGURES), ("tables", exhibits.TABLES | {"table": exhibits.ALL_NETS})):
        for name, entry in entries.items():
            function = entry.draw if wing == "figures" else entry.make
            assert callable(resolve_name(f"lit_resnet.report.{wing}.{function}"))
            assert name == entry.name


def test_a_figure_and_a_table_that_were_added_are_in_the_report(lab, added, grid):
    made = write(Asked(grid, root=lab.root))
    names = {str(file.relative_to(made.folder)) for file in made.files}
    assert {"figures/parameters.png", "figures/parameters.svg"} <= names
    assert {"seconds.csv", "seconds.md", "seconds.tex"} <= names
    assert made.not_drawn == ()
    page = made.page.read_text()
    assert "Error and size" in page
    assert "Test error over parameters of 1 nets." in page  # the residual net is not of its kinds
    assert "How long the runs took" in page
    assert "| plain-20-seed0 | 187 |" in (made.folder / "seconds.md").read_text()


def _media(grid):
    return getattr(grid.panels[0], "media_keys", None) if grid.panels else None


def test_and_in_the_report_in_wandb(lab, added, grid):
    wr = pytest.importorskip("wandb_workspaces.reports.v2", reason="wandb-workspaces is not installed")
    from lit_resnet.tracking import workspace

    made = workspace.build(runs.read(Asked(grid, root=lab.root)), "team", "resnets", "tiny")
    headings = [block.text for block in made.blocks if isinstance(block, wr.H2)]
    assert headings[:4] == ["Time", "All nets", exhibits.FIGURES["fig6"].title, "Error and size"]
    (panels,) = (block for block in made.blocks if isinstance(block, wr.PanelGrid) and _media(block) == ["parameters"])
    assert [run_set.name for run_set in panels.runsets] == ["plain nets"]


def test_and_an_image_of_each_run_that_has_the_data(lab, added, grid):
    plain, residual = (
        next(run for run in runs.read(Asked(grid, root=lab.root)).finished if run.cell == cell)
        for cell in ("plain-20", "residual-20")
    )
    assert [drawing.name for drawing in figures.of_run(plain)] == ["fig7", "parameters"]
    assert [drawing.name for drawing in figures.of_run(residual)] == ["fig7"]
    RESPONSES.file(plain.folder.path).unlink()
    assert [drawing.name for drawing in figures.of_run(plain)] == ["parameters"]


def test_and_in_the_list_for_the_documentation(added):
    lines = exhibits.markdown(exhibits.FIGURES.values()).splitlines()
    assert lines[:2] == ["| name | title | shows |", "| --- | --- | --- |"]
    assert lines[-1] == "| `parameters` | Error and size | test error over parameters |"
    assert len(lines) == 2 + len(exhibits.FIGURES)


def test_without_an_entry_the_grid_is_refused(grid):
    with pytest.raises(InputError, match="report.figures is .*'parameters'.*: write a list of some of fig1, fig4, "):
        load(grid)
