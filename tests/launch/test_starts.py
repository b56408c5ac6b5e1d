"""Grids whose cells start from another grid's: what plan, launch and status say, and when a run is the same."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid, load
from lit_resnet.launch import reuse
from lit_resnet.launch.folders import check_folders
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder

RECIPE = {
    "model": {"net": {"depth": 8}},
    "data": {"source": "digits", "pad": 1, "batch_size": 16},
    "trainer": {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"},
}
FROM = {"tuned": {"model.start": {"grid": "first", "cell": "start"}}, "fresh": {}}


def write(folder: Path, name: str, **content) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"base": "recipe.yaml", **content}, sort_keys=False))
    return str(path)


def run(grid: Grid, number: int = 0) -> RunFolder:
    """Train a cell as a launch does."""
    cell = grid.cells[number]
    folder = status.folder(grid, cell, grid.root)
    assert train(RunCLI(grid.config(cell)), folder)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a finished run to start from, and of one that has started from it; the grids are beside it."""
    folder = tmp_path_factory.mktemp("done")
    run(load(write(folder, "first", include={"start": {}}), root=folder / "runs"))
    run(load(write(folder, "second", include=FROM), root=folder / "runs"))
    return folder


@pytest.fixture
def there(done: Path, tmp_path: Path) -> Callable[[str], Grid]:
    """Reads a grid of a copy of that folder, in which a third grid has the cells of the second."""
    shutil.copytree(done, tmp_path / "there")
    write(tmp_path / "there", "third", include=FROM)
    return lambda name: load(str(tmp_path / "there" / f"{name}.yaml"), root=tmp_path / "there" / "runs")


def test_what_is_missing_is_said_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first, root = write(tmp_path, "first", include={"start": {}, "other": {}}, seeds=[0, 1]), tmp_path / "runs"
    grid = write(tmp_path, "second", include=FROM)
    wanted = f"starts from first/start-seed0: missing; first: lit-resnet launch {first} start-seed0 --root {root}"
    assert main(["plan", grid, "--root", str(root), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert wanted in err.splitlines()
    rows = {row["cell"]: (row["start"], row["start_lacks"]) for row in json.loads(out)}
    assert rows == {"tuned": ("first/start-seed0", "missing"), "fresh": (None, None)}
    assert main(["plan", grid, "--root", str(root)]) == 0
    assert re.search(r"starts from .*\n.*\n.* first/start-seed0 ", capsys.readouterr().out)
    for verb in (["launch"], ["launch", "--on", "slurm", "--dry-run"], ["run"]):
        assert main([verb[0], grid, "tuned", *verb[1:], "--root", str(root)]) == 2
        assert f"second: {wanted}" in capsys.readouterr().err
    assert main(["status", grid, "--root", str(root), "--format", "json"]) == 0
    notes = {row["cell"]: row["note"] for row in json.loads(capsys.readouterr().out)}
    assert notes == {"tuned": "starts from first/start-seed0: missing", "fresh": ""}
    assert not root.exists()
    check_folders(load(grid, root=root).part(["fresh"]), root)
    both = load(write(tmp_path, "second", include=FROM, seeds=[0, 1]), root=root)
    with pytest.raises(InputError, match=rf"start-seed1: missing; first: lit-resnet launch {first} start --root"):
        check_folders(both, root)
    write(tmp_path, "of-file", include={"x": {"model.start": "gone.pth"}})
    of_file = load(str(tmp_path / "of-file.yaml"), root=root)
    with pytest.raises(InputError, match="starts from gone.pth: missing; first: write another path for model.start"):
        check_folders(of_file, root)


def test_where_it_vanished_after_the_launch_the_run_fails_with_that_line(tmp_path: Path):
    write(tmp_path, "first", include={"start": {}})
    grid = load(write(tmp_path, "second", include=FROM), root=tmp_path / "runs")
    folder = status.folder(grid, grid.cells[0], grid.root)
    with pytest.raises(InputError, match="model.start: .*runs/first/start-seed0: missing; write the folder"):
        train(RunCLI(grid.config(grid.cells[0])), folder)
    assert "start-seed0: missing" in folder.status().error


def test_a_finished_run_needs_its_start_no_more_and_is_the_same_in_another_root(there: Callable[[str], Grid]):
    grid = there("second")
    check_folders(grid, grid.root)
    tuned = status.folder(grid, grid.cells[0], grid.root)
    assert tuned.summary().start.path.startswith("/"), "the config that fit --config takes has a real path"
    assert not tuned.summary().start.path.startswith(str(grid.root))
    shutil.rmtree(grid.root / "first")
    check_folders(grid, grid.root)
    assert status.rows(grid, grid.root)[0]["state"] == "done"


def test_weights_that_were_trained_again_make_another_run(there: Callable[[str], Grid]):
    grid, third = there("second"), there("third")
    cell_file = status.folder(grid, grid.cells[0], grid.root).cell_file
    cell_file.write_text(yaml.safe_dump(grid.config(grid.cells[0])))
    assert list(reuse.finished_elsewhere(third, third.cells, third.root)) == ["tuned-seed0"]
    last = grid.root / "first" / "start-seed0" / "checkpoints" / "last.ckpt"
    torch.save(torch.load(last, weights_only=True) | {"global_step": 3}, last)
    assert not reuse.finished_elsewhere(third, third.cells, third.root)
    with pytest.raises(InputError, match=r"tuned-seed0: started from other weights than .*; put those weights back"):
        check_folders(grid, grid.root)
    last.unlink()
    assert not reuse.finished_elsewhere(third, third.cells, third.root), "which weights they were cannot be seen"


def test_a_damaged_run_to_start_from_is_named(there: Callable[[str], Grid]):
    third = there("third")
    (third.root / "first" / "start-seed0" / "summary.json").write_text("{")
    with pytest.raises(InputError, match=r"third: starts from first/start-seed0: damaged \(.*summary.json"):
        check_folders(third, third.root)
