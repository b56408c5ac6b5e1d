"""Reports of some cells of a grid, and of several grids side by side."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import compare, write


@pytest.fixture
def grids(lab, monkeypatch) -> list[Asked]:
    """Two grids with a cell of the same name, trained with another learning rate, and another net."""
    monkeypatch.chdir(lab.root.parent)
    found = []
    for name, lr, cells in (("one", 0.1, ["plain-20", "res-20"]), ("two", 0.05, ["res-20", "res-56"])):
        path = lab.grid({cell: {"model.rate.lr": lr} for cell in cells}, name=name, seeds=[0, 1])
        for cell in cells:
            for seed in (0, 1):
                depth, shortcut = int(cell[-2:]), "none" if cell.startswith("plain") else "A"
                lab.finish(cell, seed, grid=name, depth=depth, shortcut=shortcut, test_error=10 * lr + seed)
        found.append(Asked(path, root=lab.root))
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_some_cells(grids: list[Asked]):
    whole = write(grids[0])
    made = write(grids[0], ["res-*"])
    assert [row["cell"] for row in rows(made.folder / "table.csv")] == ["res-20"]
    assert made.folder.name == "report-part"
    assert len(rows(whole.folder / "table.csv")) == 2, "the report of all cells is left alone"
    assert "launch" in made.page.read_text()
    with pytest.raises(InputError, match="plain-2: no cell of one; did you mean plain-20"):
        write(grids[0], ["plain-2"])


def test_two_grids_side_by_side(grids: list[Asked]):
    made = compare(grids)
    made.write()
    assert made.folder == grids[0].root / "one+two" / "report"
    table = rows(made.folder / "table.csv")
    assert [row["cell"] for row in table] == ["one/plain-20", "one/res-20", "two/res-20", "two/res-56"]
    assert [float(row["lr"]) for row in table] == [0.1, 0.1, 0.05, 0.05]
    assert [float(row["test_error_mean"]) for row in table] == [1.5, 1.5, 1.0, 1.0]
    assert {row["n"] for row in table} == {"2"}
    assert "one/plain-20" in made.page.read_text()
    with pytest.raises(InputError, match="one: stands twice"):
        compare([grids[0], grids[0]])


def test_all_grids_come_from_wandb(grids: list[Asked], monkeypatch):
    shown: list[Asked] = []
    monkeypatch.setattr("lit_resnet.tracking.restore.restore", lambda asked, _: replace(asked, root=Path("restored")))
    monkeypatch.setattr("lit_resnet.verbs.report.show", lambda grids, cells, form: shown.extend(grids))
    assert main(["report", *(one.name for one in grids), "--root", str(grids[0].root), "--from", "wandb:e/p"]) == 0
    assert [(one.name, one.root) for one in shown] == [(one.name, Path("restored")) for one in grids]


def test_words_after_the_grid_are_cells_or_grids(grids: list[Asked], capsys):
    one, two = (asked.name for asked in grids)
    root = ["--root", str(grids[0].root), "--format", "csv"]
    assert main(["report", one, two, *root]) == 0
    assert capsys.readouterr().out.count("two/res-") == 2
    assert main(["report", one, "res-20-seed1", *root]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert main(["report", one, "res-20", two, *root]) == 2
    assert "res-20 is a cell of one" in capsys.readouterr().err
    assert main(["report", one, "nothing", *root]) == 2
    assert "nothing: no cell of one" in capsys.readouterr().err
    assert replace(grids[0], name=two).home.name == "two"
