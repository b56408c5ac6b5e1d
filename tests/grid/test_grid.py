"""Grid files: which cells they mean, and one clear line for each mistake."""

from pathlib import Path

import pytest
import yaml
from lab import make_summary

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.grid import Ensemble, load, shipped
from lit_resnet.runfolder.folder import RunFolder

BASE = {"model": {"net": {"depth": 20, "shortcut": "A"}, "rate": {"lr": 0.1}}, "data": {"source": "digits"}}


def write(folder: Path, **content) -> str:
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE))
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"base": "base.yaml", **content}, sort_keys=False))
    return str(path)


def test_every_combination_is_a_cell_with_the_names_of_its_values(tmp_path: Path):
    grid = load(
        write(
            tmp_path,
            matrix={"model.net.shortcut": {"plain": "none", "residual": "A"}, "model.net.depth": [20, 56]},
            seeds=[0, 3],
        )
    )
    assert grid.name == "mine"
    assert [cell.folder for cell in grid.cells] == [
        f"{kind}-{depth}-seed{seed}" for kind in ("plain", "residual") for depth in (20, 56) for seed in (0, 3)
    ]
    config = grid.config(grid.cells[3])
    assert config == {
        "model": {"net": {"depth": 56, "shortcut": "none"}, "rate": {"lr": 0.1}},
        "data": {"source": "digits"},
        "seed_everything": 3,
    }
    assert grid.base == BASE, "a cell's config must not change the base"


def test_exclude_by_value_or_name_and_include(tmp_path: Path):
    matrix = {"model.net.shortcut": {"plain": "none", "residual": "A"}, "model.net.depth": [20, 56, 110]}
    grid = load(
        write(
            tmp_path,
            matrix=matrix,
            exclude=[{"model.net.shortcut": "plain", "model.net.depth": 110}, {"model.net.depth": 56}],
            include={"residual-110-slow": {"model.net.depth": 110, "model.rate.lr": 0.01}},
        )
    )
    assert [cell.name for cell in grid.cells] == ["plain-20", "residual-20", "residual-110", "residual-110-slow"]
    assert grid.config(grid.cells[-1])["model"] == {"net": {"depth": 110, "shortcut": "A"}, "rate": {"lr": 0.01}}


def test_a_cell_may_have_seeds_of_its_own(tmp_path: Path):
    cells = load(
        write(tmp_path, matrix={"model.net.depth": [20]}, include={"deep": {"model.rate.lr": 1, "seeds": [3, 4]}})
    )
    assert [cell.folder for cell in cells.cells] == ["20-seed0", "deep-seed3", "deep-seed4"]
    assert all("seeds" not in cells.config(cell) for cell in cells.cells)


def test_a_cell_may_start_from_another_one(tmp_path: Path):
    path = Path(write(tmp_path))
    path.write_text(
        "base: base.yaml\ninclude:\n  a: &a {model.rate.lr: 1, model.net.depth: 20}\n  b: {<<: *a, model.rate.lr: 2}\n"
    )
    a, b = load(str(path)).cells
    assert b.overrides == a.overrides | {"model.rate.lr": 2}


def test_settings_are_for_every_cell(tmp_path: Path):
    path = write(tmp_path, matrix={"model.net.depth": [20, 56]})
    grid = load(path, ["data.root=/a=b", "model.rate.milestones=[1, 2]", "trainer.max_steps=5"])
    for cell in grid.cells:
        config = grid.config(cell)
        assert config["data"] == {"source": "digits", "root": "/a=b"}
        assert (config["model"]["rate"]["milestones"], config["trainer"]["max_steps"]) == ([1, 2], 5)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.root", r"--set data.root: write KEY=VALUE, such as data.root=/data/cifar10"),
        ("=3", "write KEY=VALUE"),
        ("data.root=", "write KEY=VALUE"),
        ("model.net={shortcut: none}", "--set model.net: this is what the cells of the grid differ in"),
        ("trainer={max_steps: 4}", "--set trainer is a mapping: write trainer.max_steps and so on"),
        ("model.net.depth=3", "--set model.net.depth: this is what the cells of the grid differ in"),
        ("seed_everything=3", "--set seed_everything: write --seeds"),
        ("model.rate.lr=[1", "--set model.rate.lr: not YAML"),
    ],
)
def test_wrong_settings(tmp_path: Path, setting: str, message: str):
    with pytest.raises(InputError, match=message):
        load(write(tmp_path, matrix={"model.net.depth": [20]}), [setting])


def test_include_alone_is_a_grid(tmp_path: Path):
    assert [c.folder for c in load(write(tmp_path, include={"one": {"model.rate.lr": 0.2}})).cells] == ["one-seed0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"matrx": {}}, r"mine.yaml: unknown key matrx; did you mean matrix\?"),
        ({"base": "nowhere.yaml"}, "base nowhere.yaml: no such file"),
        ({"base": None}, "base is missing"),
        ({}, "no cells"),
        ({"matrix": {"model.net.depth": 20}}, "matrix model.net.depth is 20: write a list"),
        ({"matrix": {"a.b": [1]}, "seeds": 3}, r"seeds is 3: write a list .* \[0, 1, 2\]"),
        ({"matrix": {"a.b": [1]}, "seeds": [0, 0]}, "a seed stands twice"),
        ({"include": {"deep": {"a.b": 1, "seeds": 5}}}, r"cell deep: seeds is 5: write a list"),
        ({"matrix": {"a.b": [1]}, "exclude": 3}, "exclude is 3: write a list"),
        ({"matrix": {"a.b": [1]}, "exclude": [{1: 2}]}, "exclude 1: not an axis"),
        (
            {"include": {"slow": {"model.rate": {"lr": 0.1}}}},
            "cell slow: model.rate is a mapping: write model.rate.lr and so on",
        ),
        ({"matrix": {"a.b": [1]}, "exclude": [{"a.c": 1}]}, r"exclude a.c: not an axis .* did you mean a.b\?"),
        ({"matrix": {"a.b": [1]}, "exclude": [{"a.b": 2}]}, "2 is not on that axis"),
        ({"matrix": {"a.b": ["x/y"]}}, "a name becomes a folder"),
        ({"include": {"../../x": {"a": 1}}}, "a name becomes a folder"),
        ({"matrix": {"a.b": [1]}, "include": {"b=1": {"a.b": 2}}}, "cell b=1 stands twice"),
        ({"matrix": {"a.b": ["x", "X"]}}, "cell X stands twice"),
        ({"matrix": {"seed_everything": [1]}}, "write seeds:"),
        ({"matrix": {"a.b": [1]}, "report": {"figure": []}}, r"unknown key report.figure; did you mean figures\?"),
        ({"matrix": {"a.b": [1]}, "report": {"figures": ["fig9"]}}, "write a list of some of fig1, fig4, fig6, fig7"),
        ({"matrix": {"a.b": [1]}, "report": {"figures": ["fig6", "gradient"]}}, r"did you mean gradients\?"),
        ({"matrix": {"a.b": [1]}, "report": {"tables": ["table6"]}}, "report.tables .* some of table2, table3, table4"),
        ({"matrix": {"a.b": [1]}, "report": {"tables": "table2"}}, "report.tables is table2: write a list"),
        ({"matrix": {"a.b": [1]}, "report": {"tables": [["table2"]]}}, "report.tables .* write a list of some of"),
        ({"matrix": {"a.b": [1]}, "report": {"tables": ["table5"]}}, "table5, which needs ensembles: write some"),
        ({"matrix": {"a..b": [1]}}, "not a config key"),
        ({"matrix": [1]}, "write a mapping"),
    ],
)
def test_mistakes(tmp_path: Path, content: dict, message: str):
    with pytest.raises(InputError, match=message) as caught:
        load(write(tmp_path, **content))
    assert "\n" not in str(caught.value)


def test_tables_and_ensembles(tmp_path: Path):
    report = {
        "figures": ["fig4"],
        "tables": ["table4", "table5"],
        "ensembles": {"all": {"cells": ["18", "34"], "protocol": "multi-scale"}},
    }
    matrix = {"model.net.depth": [18, 34]}
    grid = load(write(tmp_path, matrix=matrix, report=report))
    assert (grid.figures, grid.tables) == (("fig4",), ("table4", "table5"))
    assert grid.ensembles == (Ensemble("all", ("18", "34"), "multi-scale"),)
    part = grid.part(["18"])
    assert (part.tables, part.ensembles) == (("table4",), ()), "no table of ensembles that it has not"
    without = load(write(tmp_path, matrix=matrix))
    assert (without.figures, without.tables, without.ensembles) == (None, (), ())


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (["18"], r"ensembles.all is \['18'\]: write {cells: \[18, 34\], protocol: multi-scale}"),
        ({"cells": ["18"]}, "ensembles.all is .* write {cells: "),
        ({"cells": ["18"], "protocol": "center", "weights": [1]}, "ensembles.all is .* write {cells: "),
        (
            {"cells": [], "protocol": "center"},
            r"ensembles.all: cells is \[\]: write a list of cells, such as \[18, 34\]",
        ),
        ({"cells": "18", "protocol": "center"}, "cells is '18': write a list"),
        ({"cells": ["182"], "protocol": "center"}, r"'182' is no cell of the grid; did you mean 18\?"),
        ({"cells": [[1]], "protocol": "center"}, "is no cell of the grid"),
        ({"cells": ["18", "18"], "protocol": "center"}, "cell 18 stands twice"),
        ({"cells": ["18"], "protocol": "tencrop"}, r"protocol is tencrop: write one of .*; did you mean ten-crop\?"),
        ({"cells": ["18"], "protocol": ["center"]}, "write one of center, ten-crop, multi-scale"),
    ],
)
def test_wrong_ensembles(tmp_path: Path, ensemble, message: str):
    report = {"ensembles": {"all": ensemble}}
    with pytest.raises(InputError, match=message) as caught:
        load(write(tmp_path, matrix={"model.net.depth": [18, 34]}, report=report))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "a/b", ".a", ""])
def test_the_name_of_an_ensemble_is_a_file(tmp_path: Path, name: str):
    report = {"ensembles": {name: {"cells": ["18"], "protocol": "center"}}}
    with pytest.raises(InputError, match="a name becomes a file"):
        load(write(tmp_path, matrix={"model.net.depth": [18]}, report=report))


def test_unknown_grid_names_the_nearest_shipped_one():
    with pytest.raises(InputError, match=r"quickstrat: no such grid; did you mean quickstart\?"):
        load("quickstrat")


def test_not_yaml(tmp_path: Path):
    path = tmp_path / "broken.yaml"
    path.write_text("matrix: [1, 2")
    with pytest.raises(InputError, match="broken.yaml: not YAML") as caught:
        load(str(path))
    assert "\n" not in str(caught.value)


def test_a_key_that_stands_twice(tmp_path: Path):
    path = tmp_path / "twice.yaml"
    path.write_text("base: x.yaml\nmatrix: {a.b: [1]}\nmatrix: {a.b: [2]}\n")
    with pytest.raises(InputError, match="key matrix stands twice"):
        load(str(path))


def test_every_shipped_grid_loads():
    names = [path.stem for path in shipped().glob("*.yaml")]
    assert "quickstart" in names
    for name in names:
        assert load(name).cells


def test_a_run_that_was_made_with_other_values_is_refused(tmp_path: Path):
    grid = load(write(tmp_path, matrix={"model.net.depth": [20]}))
    (cell,) = grid.cells
    run = RunFolder(tmp_path / "runs" / "mine" / cell.folder)
    status.check_config(grid, cell, run)  # nothing was run yet
    run.path.mkdir(parents=True)
    other = grid.config(cell)
    other["model"]["rate"]["lr"] = 0.01
    run.cell_file.write_text(yaml.safe_dump(other))
    status.check_config(grid, cell, run)  # nothing was trained yet
    run.write_summary(make_summary())
    with pytest.raises(
        InputError, match=r"20-seed0: was run with another model.rate.lr \(0.01, not 0.1\) than mine says now"
    ):
        status.check_config(grid, cell, run)
    # A key that the grid no longer has is a difference too.
    run.cell_file.write_text(yaml.safe_dump(grid.config(cell) | {"trainer": {"max_steps": 5}}))
    with pytest.raises(InputError, match="another trainer"):
        status.check_config(grid, cell, run)
    run.cell_file.write_text(yaml.safe_dump(grid.config(cell)))
    status.check_config(grid, cell, run)


def test_data_may_move_but_not_change(tmp_path: Path):
    def written(source: str, root: str) -> dict:
        return {"data": {"source": source, "root": root}}

    grid = load(write(tmp_path, matrix={"model.net.depth": [20]}), ["data.source=folder", "data.root=/new/photos"])
    (cell,) = grid.cells
    run = RunFolder(tmp_path / "runs" / "mine" / cell.folder)
    run.path.mkdir(parents=True)
    run.write_summary(make_summary(data="folder:photos"))
    config = grid.config(cell)
    run.cell_file.write_text(yaml.safe_dump(config | written("folder", "old/photos")))
    status.check_config(grid, cell, run)
    run.cell_file.write_text(yaml.safe_dump(config | written("folder", "old/paintings")))
    with pytest.raises(InputError, match=r"another data.root \(paintings, not photos\)"):
        status.check_config(grid, cell, run)
    run.cell_file.write_text(yaml.safe_dump(config | written("cifar10", "/new/photos")))
    with pytest.raises(InputError, match="another data"):
        status.check_config(grid, cell, run)


def test_numbers_have_their_keys_beside_them(tmp_path: Path):
    matrix = {"model.rate.lr": [0.1, "1e-2"], "model.sgd.weight_decay": [0.001], "data.flip": [True]}
    path = write(tmp_path, matrix=matrix)
    Path(path).write_text(Path(path).read_text().replace("'1e-2'", "1e-2"))
    grid = load(path)
    assert [cell.name for cell in grid.cells] == [
        "lr=0.1,weight_decay=0.001,flip=true",
        "lr=0.01,weight_decay=0.001,flip=true",
    ]
    assert grid.cells[1].overrides["model.rate.lr"] == 0.01
    (cell,) = load(
        write(tmp_path, matrix={"model.net.shortcut": ["A"], "model.net.depth": [20], "data.pad": [0], "a.pad": [1]})
    ).cells
    assert cell.name == "A-20-data.pad=0,a.pad=1"


def test_a_sample_of_a_matrix(tmp_path: Path):
    def cells(sample: int | None, **more) -> list[str]:
        matrix = {"a.depth": list(range(100)), "a.b": list(range(100))}
        return [cell.name for cell in load(write(tmp_path, matrix=matrix, sample=sample, **more)).cells]

    twenty = cells(20)
    assert len(set(twenty)) == 20
    assert cells(30)[:20] == twenty, "a larger sample has the cells of a smaller one"
    assert set(cells(10_001)) == set(cells(10_000))
    assert all("depth=7," not in name for name in cells(9000, exclude=[{"a.depth": 7}]))


def test_a_sample_of_ranges(tmp_path: Path):
    matrix = {"model.rate.lr": {"log-uniform": [0.001, 1]}, "data.pad": {"uniform": [0, 4]}, "a.b": ["x", "y"]}
    grid = load(write(tmp_path, matrix=matrix, sample=50))
    rates = [cell.overrides["model.rate.lr"] for cell in grid.cells]
    assert len(set(rates)) == 50
    assert all(0.001 <= rate <= 1 and rate == float(f"{rate:.3g}") for rate in rates)
    assert 15 < sum(rate < 0.0316 for rate in rates) < 35, "half of them below the geometric mean"
    assert grid.cells[0].name.startswith(f"lr={rates[0]},pad=")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"matrix": {"a.b": {"uniform": [0, 1]}}}, "matrix a.b is a range: write sample: 20"),
        ({"matrix": {"a.b": {"uniform": [1, 1]}}, "sample": 2}, "the smaller one first"),
        ({"matrix": {"a.b": {"log-uniform": [0, 1]}}, "sample": 2}, "two numbers above 0"),
        ({"matrix": {"a.b": {"uniform": [0, float("inf")]}}, "sample": 2}, "write two numbers"),
        ({"matrix": {"a.b": {"uniform": 3}}, "sample": 2}, "write the two ends"),
        ({"matrix": {"a.b": {"uniform": [0, 1]}}, "sample": 2, "exclude": [{"a.b": 0.5}]}, "a.b: is a range"),
        ({"matrix": {"a.b": [1]}, "sample": 0}, "sample is 0: write a number of cells"),
        ({"include": {"x": {"a.b": 1}}, "sample": 3}, "and a matrix to draw them from"),
        ({"matrix": {f"a.b{i}": list(range(10)) for i in range(9)}}, "has 1,000,000,000 cells: write at most 100,000"),
        ({"matrix": {"a.b": ["A", "A"]}}, "matrix a.b: A stands twice"),
        ({"include": {"x" * 250: {"a.b": 1}}}, "up to 200 letters"),
        ({"matrix": {"a.b": [1]}, "title": ["x"]}, r"title is \['x'\]: write a line"),
        ({"matrix": {"a.b": [1]}, "seeds": [2**32]}, "seeds is .*4294967296.*: write a list of whole numbers"),
        ({"matrix": {"a.b": [1]}, "base": "x" * 300}, "base 'x.*: no such file"),
        (
            {"matrix": {"a.b": [1]}, "base": "x\0"},
            r"mine\.yaml: has a value that YAML cannot read \(the letter '\\x00'",
        ),
        ({"matrix": {"a.b": [1]}, "cluster": "x" * 300}, "no such cluster file"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(tmp_path: Path, content: dict, message: str):
    with pytest.raises(InputError, match=message) as caught:
        load(write(tmp_path, **content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_title_is_one_line(tmp_path: Path):
    assert load(write(tmp_path, include={"a": {}}, title=None)).title == "mine"
    assert load(write(tmp_path, matrix={"a.b": [1]}, title="Depth\ntouch x\n")).title == "Depth touch x"


def test_a_plain_value_where_a_cell_needs_a_mapping(tmp_path: Path):
    grid = load(write(tmp_path, matrix={"data.source.x": [1]}))
    with pytest.raises(
        InputError, match=r"mine: data.source is digits in the base, but a cell or --set has data.source.x"
    ):
        grid.config(grid.cells[0])


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "..yaml", "...yaml", "a\nb.yaml"])
def test_names_that_no_grid_can_have(tmp_path: Path, name: str):
    if name.endswith("yaml"):
        Path(write(tmp_path, matrix={"a.b": [1]})).rename(tmp_path / name)
        name = str(tmp_path / name)
    with pytest.raises(InputError, match="no such grid|a grid's name becomes a folder"):
        load(name)
