"""Cells that start from cells of another grid: which run that is, and one line for each mistake."""

from pathlib import Path

import pytest
import yaml

from lit_resnet.errors import InputError
from lit_resnet.grid import axes
from lit_resnet.grid.grid import Grid, load
from lit_resnet.grid.start import StartCell

FIRST = {"include": {"plain": {"model.net.shortcut": "none"}, "residual": {}}, "seeds": [1, 2]}


def write(folder: Path, name: str, **content) -> str:
    (folder / "base.yaml").write_text(yaml.safe_dump({"model": {"net": {"depth": 8}}}))
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"base": "base.yaml", **content}, sort_keys=False))
    return str(path)


def start(cell: str = "plain", grid: str = "first") -> dict:
    return {"model.start": {"grid": grid, "cell": cell}}


def two(folder: Path, settings: tuple[str, ...] = (), **content) -> Grid:
    """A grid that may start from cells of the grid `first`, beside it."""
    write(folder, "first", **FIRST)
    return load(write(folder, "second", **content), settings, root=folder / "runs")


def test_a_cell_starts_from_the_run_with_its_seed_or_from_the_first(tmp_path: Path):
    grid = two(tmp_path, include={"tuned": start(), "fresh": {}}, seeds=[2, 7])
    same, other, fresh, _ = grid.cells
    runs = tmp_path / "runs" / "first"
    assert grid.config(same)["model"] == {"net": {"depth": 8}, "start": str(runs / "plain-seed2")}
    assert grid.start_path(other) == str(runs / "plain-seed1")
    assert (grid.start_name(other), grid.start_name(fresh), grid.start_path(fresh)) == ("first/plain-seed1", None, None)
    assert grid.start(same) == StartCell(str(tmp_path / "first.yaml"), "plain", (1, 2))
    (axis,) = axes.read(grid, tmp_path / "runs")
    assert (axis.name, axis.plain) == ("start", {"tuned": "first/plain", "fresh": None})


def test_a_value_of_the_matrix_may_have_several_keys(tmp_path: Path):
    weights = {
        "plain": {"model.net.shortcut": "none", **start()},
        "residual": {"model.net.shortcut": "A", **start("residual", "first.yaml")},
        "fresh": {"model.start": None},
    }
    matrix = {"net": weights, "model.rate.lr": [0.1, 0.2]}
    grid = two(tmp_path, matrix=matrix, exclude=[{"net": "fresh", "model.rate.lr": 0.2}])
    assert [cell.name for cell in grid.cells] == [
        *(f"{name}-lr={lr}" for name in ("plain", "residual") for lr in (0.1, 0.2)),
        "fresh-lr=0.1",
    ]
    assert [grid.start_name(cell) for cell in grid.cells[1:4:2]] == ["first/plain-seed1", "first/residual-seed1"]
    assert grid.config(grid.cells[0])["model"]["net"]["shortcut"] == "none"
    assert list(grid.axes) == ["shortcut", "start", "lr"]


def test_all_cells_may_start_from_one_or_from_a_path(tmp_path: Path):
    grid = two(tmp_path, ("model.start={grid: first, cell: plain}",), include={"x": {}}, seeds=[2])
    assert grid.config(grid.cells[0])["model"]["start"] == str(tmp_path / "runs/first/plain-seed2")
    of_file = two(tmp_path, include={"x": {"model.start": "~/resnet18.pth"}})
    assert of_file.start_path(of_file.cells[0]) == of_file.start_name(of_file.cells[0]) == "~/resnet18.pth"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"include": {"x": start("plian")}}, r"cell x: model.start: plian is no cell of first; did you mean plain\?"),
        ({"include": {"x": start(grid="frist")}}, "cell x: model.start: frist: no such grid"),
        ({"include": {"x": start("x", "second")}}, "a grid cannot start from its own cells: put those cells into a gr"),
        ({"include": {"x": start("x", "round")}}, "a grid cannot start from second, which starts from it"),
        ({"include": {"x": {"model.start": {"grid": "first"}}}}, "model.start is {'grid': 'first'}: write {grid: tab"),
        (
            {"include": {"x": {"model.start": {"grid": "first", "cell": 3}}}},
            "write {grid: table3, cell: ResNet-101}, a",
        ),
        ({"matrix": {"model.start": {"grid": "first", "cell": "plain"}}}, "matrix model.start .*give the value a name"),
        (
            {"matrix": {"x": {"a": {"model.net": {"depth": 8}}}}},
            "cell a: model.net is a mapping: write model.net.depth",
        ),
        ({"matrix": {"x": {"a": {"a.b": 1}}, "a.b": [2]}}, "matrix a.b: a.b is on another axis, too"),
        ({"matrix": {"x": {"a": {"..": 1}}}}, "'..' is not a config key|.. is not a config key"),
    ],
)
def test_mistakes(tmp_path: Path, content: dict, message: str):
    write(tmp_path, "round", include={"x": start("x", "second")})
    with pytest.raises(InputError, match=message) as caught:
        two(tmp_path, **content)
    assert "\n" not in str(caught.value)
