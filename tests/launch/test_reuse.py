"""Runs that another grid has finished are taken from there, if they are really the same."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from lab import make_summary

from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid, load
from lit_resnet.launch import reuse
from lit_resnet.runfolder.folder import RunFolder

SUMMARY = make_summary(net="ResNet-8", depth=8, data="digits", steps=1, wall_seconds=1.0)


def grid(folder: Path, name: str, lr: float = 0.1) -> Grid:
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"data": {"source": "digits", "root": "here"}}))
    cells = {"a": {"model.net.depth": 8, "model.rate.lr": lr}, "b": {"model.net.depth": 14}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"base": "recipe.yaml", "include": cells}))
    return load(str(folder / f"{name}.yaml"))


def finish(grid: Grid, cell: int, root: Path, **said) -> RunFolder:
    run = RunFolder(root / grid.name / grid.cells[cell].folder)
    run.path.mkdir(parents=True)
    run.cell_file.write_text(yaml.safe_dump(grid.config(grid.cells[cell])))
    depth = grid.cells[cell].overrides["model.net.depth"]
    run.write_summary(replace(SUMMARY, net_config=SUMMARY.net_config | {"depth": depth}, **said))
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_a_run_of_the_same_config_is_linked_to(tmp_path: Path, runs: Path):
    first, second = grid(tmp_path, "first"), grid(tmp_path, "second")
    finish(first, 0, runs)
    assert reuse.adopt(second, runs) == ["a-seed0: taken from first"]
    assert (runs / "second/a-seed0").readlink() == Path("../first/a-seed0")
    assert RunFolder(runs / "second/a-seed0").summary() == SUMMARY
    assert not (runs / "second/b-seed0").exists()
    assert reuse.adopt(second, runs) == []
    runs.rename(tmp_path / "moved")  # links are relative
    assert RunFolder(tmp_path / "moved/second/a-seed0").summary() == SUMMARY


def test_a_folder_that_cannot_be_read_is_passed_over(tmp_path: Path, runs: Path, monkeypatch):
    first, second = grid(tmp_path, "first"), grid(tmp_path, "second")
    finish(first, 0, runs)
    (runs / "another's").mkdir()
    listdir = os.listdir

    def listed(path: Path) -> list[str]:
        if path.name == "another's":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", listed)
    assert reuse.adopt(second, runs) == ["a-seed0: taken from first"]


def test_runs_are_linked_to_where_they_were_made(tmp_path: Path, runs: Path):
    made, taking, also = (grid(tmp_path, name) for name in ("c", "a", "b"))
    finish(made, 1, runs)
    assert reuse.adopt(taking, runs) == reuse.adopt(also, runs) == ["b-seed0: taken from c"]
    assert (runs / "b/b-seed0").readlink() == Path("../c/b-seed0")
    finish(grid(tmp_path, "d"), 0, runs)
    assert reuse.adopt(also, runs) == ["a-seed0: taken from d"]


def test_another_config_is_not_the_same_run(tmp_path: Path, runs: Path):
    finish(grid(tmp_path, "first", lr=0.2), 0, runs)
    assert reuse.adopt(grid(tmp_path, "second"), runs) == []


def test_a_run_that_is_not_finished_or_damaged_is_left_alone(tmp_path: Path, runs: Path):
    first = grid(tmp_path, "first")
    finish(first, 0, runs).summary_file.unlink()
    finish(first, 1, runs).summary_file.write_text("{")
    assert reuse.adopt(grid(tmp_path, "second"), runs) == []


def test_what_has_begun_here_goes_on_here(tmp_path: Path, runs: Path):
    finish(grid(tmp_path, "first"), 0, runs)
    (runs / "second/a-seed0").mkdir(parents=True)
    assert reuse.adopt(grid(tmp_path, "second"), runs) == []


def test_a_link_whose_run_is_gone_is_removed(tmp_path: Path, runs: Path):
    run = finish(grid(tmp_path, "first"), 0, runs)
    second = grid(tmp_path, "second")
    reuse.adopt(second, runs)
    run.path.rename(tmp_path / "away")
    row = status.row(RunFolder(runs / "second/a-seed0"), "a", 0, 0.0)
    assert (row["state"], row["note"]) == ("queued", "was taken from first, where it is no more")
    assert reuse.adopt(second, runs) == ["a-seed0: was taken from first, where it is no more"]
    assert not (runs / "second/a-seed0").is_symlink()
    assert reuse.adopt(second, runs) == []
    assert not (runs / "second/a-seed0").is_symlink()
