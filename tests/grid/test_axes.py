"""The axes of a grid: the value of every cell on each, the base's own where a cell says none."""

import csv
import gzip
import io
import json

import pytest
import yaml
from rich.console import Console

from lit_resnet import listing
from lit_resnet.cli import main
from lit_resnet.grid import axes, status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load
from lit_resnet.report import runs, write
from lit_resnet.report.frame import read_runs
from lit_resnet.report.tables.cells import all_nets

STOP = {"class_path": "lightning.pytorch.callbacks.EarlyStopping"}
CONFIG = {
    "model": {"rate": {"lr": 0.1}, "sgd": {"weight_decay": 1e-4}, "tf32": False},
    "trainer": {"max_steps": 60},
    "data": {"source": "digits"},
}


@pytest.fixture
def grid(lab):
    """Learning rates, and cells that change something else: the recipe says the rate, and not the other values."""
    cells = {
        "lr": {"model.rate.lr": 0.3},
        "decay": {"model.sgd.weight_decay": 0.01},
        "stop": {"trainer.callbacks": [STOP]},
        "tf32": {"model.tf32": True},
    }
    path = lab.grid(cells, seeds=[0, 1])
    (lab.folder / "base.yaml").write_text(yaml.safe_dump({"model": {"rate": {"lr": 0.1}}}))
    return path


def values(lab, grid):
    return {axis.name: axis.plain for axis in axes.read(load(grid), lab.root)}


EXPECTED = {
    "lr": {"lr": 0.3, "decay": 0.1, "stop": 0.1, "tf32": 0.1},
    "weight_decay": {"lr": 1e-4, "decay": 0.01, "stop": 1e-4, "tf32": 1e-4},
    "callbacks": {"lr": None, "decay": None, "stop": "[EarlyStopping]", "tf32": None},
    "tf32": {"lr": False, "decay": False, "stop": False, "tf32": True},
}


def finish_all(lab, **summary):
    for seed in (0, 1):
        for cell in ("lr", "decay", "stop", "tf32"):
            lab.finish(cell, seed, config=CONFIG, **summary)


def test_values_come_from_the_cell_the_recipe_or_a_run_that_knows_all(lab, grid):
    unsaid = values(lab, grid)
    assert unsaid["lr"] == EXPECTED["lr"]
    assert unsaid["tf32"] == {"lr": None, "decay": None, "stop": None, "tf32": True}, "nobody knows yet"
    lab.finish("decay", 1)  # of an earlier version, whose summary has no config
    lab.run("decay", 1).config_file.write_text(yaml.safe_dump(CONFIG))
    assert values(lab, grid)["tf32"] == EXPECTED["tf32"]
    assert values(lab, grid)["weight_decay"]["lr"] is None, "that run says another value itself"
    lab.finish("lr", 0, config=CONFIG)
    assert values(lab, grid) == EXPECTED


def test_a_setting_and_the_arguments_of_a_class(lab):
    cells = {"a": {"model.x": {"class_path": "m.A", "init_args": {"y": 3}}}, "b": {"model.x.init_args.y": 4}}
    grid = load(lab.grid(cells), ["model.rate.lr=5"])
    assert [axes.said(grid, cell, "model.x.init_args.y") for cell in grid.cells] == [3, 4]
    assert [axes.said(grid, cell, "model.rate.lr") for cell in grid.cells] == [5, 5]
    assert axes.said(grid, grid.cells[0], "data.source") is axes.NOT_SAID


def test_values_that_are_no_numbers_are_short_and_different(lab):
    patient = [{**STOP, "init_args": {"monitor": "test_error", "patience": patience}} for patience in (3, 5)]
    long = [{**STOP, "init_args": {"monitor": "m" * 50, "patience": patience}} for patience in (3, 5)]
    given = [[STOP], *([one] for one in (*patient, *long)), 1, True]
    found = axes.Axis("x", "x", {str(i): value for i, value in enumerate(given)})
    texts = [found.text(cell) for cell in found.raw]
    assert texts[1] == "[EarlyStopping(monitor=test_error, pati… (2)"
    assert all(len(text) <= axes.LONGEST + 4 for text in texts)
    assert len(set(texts[:5])) == 5
    assert texts[5:] == ["1", "true"]
    assert axes.Axis("x", "x", {"a": 1, "b": 1.0}).varies is False
    few = axes.Axis("x", "x", {"a": [STOP], "b": None, "c": 3})
    assert ([few.text(cell) for cell in "abc"], few.numeric) == (["[EarlyStopping]", "–", "3"], False)


def test_every_axis_is_a_column_of_tables_and_files(lab, grid):
    finish_all(lab)
    table = write(Asked(grid, root=lab.root)).table
    shown = dict(zip(table.header, zip(*table.rows, strict=True), strict=True))
    assert shown["lr"] == ("0.3", "0.1", "0.1", "0.1")
    assert shown["callbacks"] == ("–", "–", "[EarlyStopping]", "–")
    assert shown["tf32"] == ("false", "false", "false", "true")
    assert not {"net", "layers", "params"} & set(shown)
    assert "Every net is a ResNet-20: 20 layers, 0.27M params, 40.6 MFLOPs" in table.note
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["weight_decay"] for row in rows] == ["0.0001", "0.01", "0.0001", "0.0001"]
    assert [row["callbacks"] for row in rows] == ["", "", "[EarlyStopping]", ""]
    page = (lab.root / "tiny" / "report" / "index.html").read_text()
    assert '<td class="word">[EarlyStopping]</td>' in page


def test_pandas_reads_them(lab, grid):
    pandas = pytest.importorskip("pandas")
    finish_all(lab)
    folder = write(Asked(grid, root=lab.root)).folder
    assert list(pandas.read_csv(folder / "table.csv").lr) == [0.3, 0.1, 0.1, 0.1]
    curves = pandas.read_csv(folder / "curves.csv.gz")
    assert set(curves.columns[:6]) == {"cell", "seed", "model.rate.lr", "weight_decay", "callbacks", "tf32"}
    assert curves.groupby("cell")["model.rate.lr"].unique().str[0].to_dict() == EXPECTED["lr"]
    assert set(curves.lr) == {0.1}, "the metric, which is the rate at each step"
    assert len(curves) == 8 * 24
    frame = read_runs(grid, lab.root)
    assert list(frame.weight_decay) == [1e-4, 1e-4, 0.01, 0.01, 1e-4, 1e-4, 1e-4, 1e-4]
    assert frame.callbacks[4] == [STOP]


def test_what_a_net_is_called_by_is_not_said_twice(lab):
    cells = {
        "plain": {"model.net.shortcut": "none", "model.net.depth": 20},
        "res": {"model.net.shortcut": "A", "model.net.depth": 110, "model.rate.warmup_lr": 0.01},
    }
    lab.finish("plain", shortcut="none")
    lab.finish("res", depth=110, warmup_lr=0.01)
    table = all_nets(runs.read(Asked(lab.grid(cells), root=lab.root)))
    assert not {"shortcut", "depth", "warmup_lr"} & set(table.header)
    assert [record["depth"] for record in table.records] == [20, 110]
    assert [record["warmup_lr"] for record in table.records] == [None, 0.01]
    cells["cold"] = {"model.net.shortcut": "A", "model.net.depth": 110}
    lab.finish("cold", depth=110)
    table = all_nets(runs.read(Asked(lab.grid(cells), root=lab.root)))
    assert "warmup_lr" in table.header, "two nets of one name differ in it"
    assert "depth" not in table.header


def test_in_status(lab, grid, capsys):
    finish_all(lab)
    assert main(["status", grid, "--root", str(lab.root), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0])[:7] == ["cell", "seed", "lr", "weight_decay", "callbacks", "tf32", "state"]
    assert [row["lr"] for row in rows] == ["0.3", "0.3", *["0.1"] * 6]
    assert main(["status", grid, "lr", "--root", str(lab.root), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["lr"] == 0.3
    found, varied = status.rows(load(grid), lab.root), status.varied(load(grid), lab.root)
    for width, there in ((160, True), (60, False)):
        console = Console(width=width, file=io.StringIO())
        columns, expendable = status.columns(found, varied), status.expendable(found, varied)
        console.print(listing.table(found, columns, "", expendable, width))
        text = console.file.getvalue()
        assert ("weight_decay" in text) is there
        assert "test error" in text


def test_curves_are_the_rows_of_the_files(lab, grid):
    finish_all(lab)
    content = gzip.decompress((write(Asked(grid, root=lab.root)).folder / "curves.csv.gz").read_bytes()).decode()
    logged = (lab.run("stop", 1).path / "metrics.csv").read_text().splitlines()[1:]
    assert [line for line in content.splitlines() if line.startswith("stop,1,")] == [
        f"stop,1,0.1,0.0001,[EarlyStopping],False,{line}" for line in logged
    ]
