"""Figures and tables: every entry names a function; those that are added as docs/extending.md says are everywhere."""

from pkgutil import resolve_name

import pytest
from extending import Add

from lit_resnet.errors import InputError
from lit_resnet.grid import exhibits
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load
from lit_resnet.report import figures, runs, write
from lit_resnet.runfolder.records import RESPONSES


@pytest.fixture
def added(add: Add):
    add("A figure")
    add("A table")


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
    def drawn(cell: str) -> list[str]:
        run = next(run for run in runs.read(Asked(grid, root=lab.root)).finished if run.cell == cell)
        return [drawing.name for drawing in figures.of_run(run)]

    assert drawn("plain-20") == ["fig7", "parameters"]
    assert drawn("residual-20") == ["fig7"]
    RESPONSES.file(lab.run("plain-20").path).unlink()
    assert drawn("plain-20") == ["parameters"]


def test_and_in_the_list_for_the_documentation(added):
    lines = exhibits.markdown(exhibits.FIGURES.values()).splitlines()
    assert lines[:2] == ["| name | title | shows |", "| --- | --- | --- |"]
    assert lines[-1] == "| `parameters` | Error and size | test error over parameters |"
    assert len(lines) == 2 + len(exhibits.FIGURES)


def test_without_an_entry_the_grid_is_refused(grid):
    with pytest.raises(InputError, match="report.figures is .*'parameters'.*: write a list of some of fig1, fig4, "):
        load(grid)
