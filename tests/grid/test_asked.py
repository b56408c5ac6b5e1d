"""A grid as it is asked for: the words by which another process finds the same runs, some of its cells, other seeds."""

import shlex
from pathlib import Path

import pytest
import yaml

from lit_resnet import cli
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.verbs import options, run


@pytest.fixture
def grid(tmp_path: Path) -> str:
    (tmp_path / "base.yaml").write_text("{}")
    cells = {"plain-20": {}, "plain-56": {"seeds": [4]}, "residual-20": {}}
    content = {
        "base": "base.yaml",
        "seeds": [0, 1],
        "include": cells,
        "report": {"ensembles": {"both": {"cells": ["plain-20", "residual-20"], "protocol": "center"}}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return str(tmp_path / "mine.yaml")


def parsed(command: list[str]) -> tuple[Asked, list[str]]:
    """What a verb that takes cells makes of the words of a command line."""
    parser = cli.argparse.ArgumentParser()
    run.add(parser)
    args = parser.parse_intermixed_args(command)
    return options.asked(args), args.cells


def test_its_words_mean_the_same_grid(grid: str, tmp_path: Path):
    asked = Asked(grid, ("model.rate.lr=0.5", "data.root=a b"), tmp_path / "ru ns", (3, 5))
    assert parsed(asked.words("plain-20-seed3", "plain-56")) == (asked, ["plain-20-seed3", "plain-56"])
    assert parsed(shlex.split(asked.command("wandb sync", "x"))[3:]) == (asked, ["x"])
    assert asked.command("launch").startswith(f"lit-resnet launch {grid} --root ")
    assert Asked("fig6").command("wandb sync") == "lit-resnet wandb sync fig6", "what is the default is not said"


def test_it_is_found_from_another_folder(grid: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = Asked("mine.yaml", root=Path("here")).absolute()
    assert (asked.name, asked.root) == (grid, tmp_path / "here")
    assert Asked("table6").absolute().name == "table6"


def test_its_folders_are_known_without_the_file(grid: str, tmp_path: Path):
    asked = Asked(grid, root=tmp_path)
    assert asked.folder(asked.grid.cells[0]).path == asked.home / "plain-20-seed0" == tmp_path / "mine/plain-20-seed0"
    Path(grid).unlink()
    assert Asked(grid, root=tmp_path).home == asked.home
    assert asked.grid.cells, "it was read once"


def test_other_seeds_are_those_of_all_cells(grid: str):
    folders = [cell.folder for cell in Asked(grid, seeds=(7, 2)).grid.cells]
    assert folders == [f"{name}-seed{seed}" for name in ("plain-20", "plain-56", "residual-20") for seed in (7, 2)]
    for wrong in ((1, 1), (-1,)):
        with pytest.raises(InputError, match="--seeds: seeds is"):
            _ = Asked(grid, seeds=wrong).grid


def test_cells_are_named_or_matched(grid: str):
    whole = Asked(grid).grid

    def chosen(*names: str) -> list[str]:
        return [cell.folder for cell in whole.chosen(names)]

    assert chosen() == [cell.folder for cell in whole.cells]
    assert chosen("residual-20", "plain-20-seed1") == ["plain-20-seed1", "residual-20-seed0", "residual-20-seed1"]
    assert chosen("*-20-seed0") == ["plain-20-seed0", "residual-20-seed0"]
    assert chosen("plain-*") == ["plain-20-seed0", "plain-20-seed1", "plain-56-seed4"]
    with pytest.raises(InputError, match="plain-65: no cell of mine; did you mean plain-56"):
        chosen("plain-20", "plain-65")
    with pytest.raises(InputError, match="vgg"):
        chosen("vgg*")
    part = whole.part(["plain-20"])
    assert ([cell.folder for cell in part.cells], part.ensembles) == (["plain-20-seed0", "plain-20-seed1"], ())
