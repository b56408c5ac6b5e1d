"""Run folders that are not what their grid takes them for: a table must not mix them with those that are."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from lab import METRICS, Lab

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load
from lit_resnet.launch import reuse
from lit_resnet.launch.folders import check_folders
from lit_resnet.report import runs, write
from lit_resnet.report.page.odd import odd
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES, SIGNALS

CELLS = {
    "plain": {"model.net.depth": 20, "model.net.shortcut": "none"},
    "residual": {"model.net.depth": 20, "model.net.shortcut": "A"},
}

NO_CHECKPOINT = "put a copy of it back (there is no checkpoint here)"


@pytest.fixture
def grid(lab: Lab) -> str:
    """Two cells of two seeds, all of them done."""
    for seed in (0, 1):
        lab.finish("plain", seed, shortcut="none", signals=True)
        lab.finish("residual", seed, signals=True)
    return lab.grid(CELLS, seeds=[0, 1], report={"figures": ["fig7", "gradients"]})


@pytest.mark.parametrize("key", ["depth", "shortcut"])
def test_a_value_that_no_net_can_have_is_told_in_a_line(lab: Lab, grid: str, key: str):
    cells = CELLS | {"odd": {f"model.net.{key}": [20, 56]}}
    path = lab.grid(cells, seeds=[0, 1], report={"figures": ["fig6"]})
    with pytest.raises(InputError, match=rf"cell odd: model.net.{key} is \[20, 56\]: write"):
        write(Asked(path, root=lab.root))


def refused(lab: Lab, grid: str) -> str:
    """What report and launch say, which must be the same."""
    words = []
    for look in (lambda: write(Asked(grid, root=lab.root)), lambda: check_folders(load(grid), lab.root)):
        with pytest.raises(InputError) as caught:
            look()
        words.append(str(caught.value))
    assert words[0] == words[1]
    return words[0]


def test_a_summary_of_another_run(lab: Lab, grid: str):
    """Of another seed, of another cell, of another length; that the checkpoint is whole decides what to do."""
    target, folder = lab.run("plain", 1), lab.root / "tiny"
    before = target.summary_file.read_bytes()
    for origin, words in (
        (folder / "plain-seed0", "is of another run (seed 0, not 1)"),
        (folder / "residual-seed1", "is of another run (net_config.shortcut A, not none)"),
    ):
        shutil.copy(origin / "summary.json", target.summary_file)
        assert refused(lab, grid) == f"{target.summary_file}: {words}; {NO_CHECKPOINT}"
    target.summary_file.write_bytes(before)
    target.write_summary(replace(target.summary(), steps=900))
    target.checkpoints.mkdir()
    (target.checkpoints / "last.ckpt").touch()
    with pytest.raises(InputError, match=r"another run \(steps 900, not 600\); remove this file, and launch again"):
        runs.read(Asked(grid, root=lab.root))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"test_error": -1}, "test_error is -1"),
        ({"test_error": 100.5}, "test_error is '?100.5"),
        ({"test_error": True}, "test_error is True"),
        ({"test_error": float("nan")}, "test_error is nan"),
        ({"train_error": float("inf")}, "train_error is inf"),
        ({"steps": 0}, "steps is 0"),
        ({"macs": -1}, "macs is -1"),
        ({"params": 10**400}, "params is 1000"),
        ({"wall_seconds": float("nan")}, "wall_seconds is nan"),
        ({"images_per_second": "x"}, "images_per_second is x"),
        ({"net_config": {"depth": -2}}, r"net_config\.depth is -2"),
        ({"net_config": {"shortcut": None}}, r"net_config\.shortcut is None"),
    ],
)
def test_numbers_that_cannot_be(lab: Lab, grid: str, value: dict, words: str):
    run = lab.run("plain", 0)
    run.summary_file.write_text(json.dumps(json.loads(run.summary_file.read_text()) | value))
    with pytest.raises(InputError, match=rf"plain-seed0/summary\.json: damaged \({words}"):
        runs.read(Asked(grid, root=lab.root))


def test_a_run_that_diverged_may_have_no_number(lab: Lab, grid: str):
    run = lab.run("plain", 0)
    run.write_summary(replace(run.summary(), metrics={"train_error": float("nan"), "test_error": 90.0}, diverged=True))
    made = write(Asked(grid, root=lab.root))
    assert "nan" in made.table.markdown()


def test_a_run_that_no_launch_has_made_is_what_its_config_says(lab: Lab, grid: str):
    run, asked = lab.run("plain", 0), Asked(grid, root=lab.root)
    whole = {"model": {"net": {"family": "cifar", "depth": 20, "shortcut": "none"}}, "seed_everything": 0}
    run.config_file.write_text(yaml.safe_dump(whole | {"data": {"source": "cifar10", "root": "/somewhere"}}))
    assert len(runs.read(asked).finished) == 4
    whole["model"]["net"]["shortcut"] = "A"
    run.config_file.write_text(yaml.safe_dump(whole))
    assert "plain-seed0: was run with another model.net.shortcut (A, not none) than tiny says now" in refused(lab, grid)


def test_rows_that_stand_twice_or_are_missing(lab: Lab, grid: str):
    run = lab.run("residual", 1)
    file = METRICS.file(run.path)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:5], *lines[3:]]))
    assert refused(lab, grid) == f"{file}, line 6: step 75 stands after step 100: remove the lines that do not grow"
    file.write_text("".join(lines[:-3]))
    assert f"{file}: damaged (ends at iteration 525, and the run at 600); put a copy of it back" in refused(lab, grid)
    file.write_text(lines[0] + "5" + "," * (len(METRICS.columns) - 1) + "x" * 200_000 + "\n")
    assert f"{file}, line 2: damaged (not a row)" in refused(lab, grid)
    run.summary_file.unlink()  # what is not finished goes on from the rows that grow
    file.write_text("".join([*lines[:5], *lines[3:]]))
    check_folders(load(grid), lab.root)
    assert [row["step"] for row in METRICS.grown(run.path)] == list(range(25, 601, 25))


def test_layers_that_are_missing(lab: Lab, grid: str):
    run, asked = lab.run("residual", 1), Asked(grid, root=lab.root)
    for record, words in (
        (RESPONSES, f"remove it, and measure them again: lit-resnet responses {run.path}"),
        (SIGNALS, "put a copy of it back, or remove it: the run is whole without it"),
    ):
        file = record.file(run.path)
        before = file.read_text()
        lines = before.splitlines(keepends=True)
        cuts = {lines[0] + "".join(lines[2:]): "layers are missing"}
        if record is RESPONSES:
            cuts["".join(lines[:-4])] = "15 layers, and 19 in that of seed 0"
        for text, how in cuts.items():
            file.write_text(text)
            with pytest.raises(InputError) as caught:
                write(asked)
            assert f"{file}: damaged ({how}); {words}" in str(caught.value)
        file.write_text(before)
    write(asked)


def test_runs_on_other_images_are_named(lab: Lab):
    for cell, images in (("plain", "aaa"), ("residual", "aaa")):
        for seed in (0, 1):
            other = "bbb" if (cell, seed) == ("residual", 1) else images
            lab.finish(cell, seed, shortcut=CELLS[cell]["model.net.shortcut"], data="folder:photos", test_images=other)
    grid = lab.grid(CELLS, seeds=[0, 1])
    made = write(Asked(grid, root=lab.root))
    words = "Tested on other images than the rest, so that errors cannot be compared: residual (seed 1)."
    assert words in made.table.markdown()
    assert odd(runs.read(Asked(grid, root=lab.root))) == ["", "", "", "tested on other images than most"]
    lab.run("residual", 1).write_summary(replace(lab.run("residual", 1).summary(), test_images="aaa"))
    assert "other images" not in write(Asked(grid, root=lab.root)).table.markdown()


def test_runs_on_other_images_are_not_taken_over(lab: Lab):
    lab.finish("plain", 0, shortcut="none", data="folder:photos", test_images="aaa")
    first = load(lab.grid(CELLS, seeds=[0]))
    for name, images in (("a", "bbb"), ("b", "aaa")):
        taken = lab.finish("residual", 0, grid=name, data="folder:photos", test_images=images)
        taken.cell_file.write_text(yaml.safe_dump(first.config(first.cells[1])))
    assert reuse.adopt(first, lab.root) == ["residual-seed0: taken from b"]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")])
def test_a_report_that_cannot_be_written_is_printed(lab: Lab, grid: str, capsys, monkeypatch, error: OSError):
    def refuse(self: Path, *_, **__) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        assert main(["report", grid, "--root", str(lab.root)]) == 0
    out = capsys.readouterr().out
    assert "plain-20" in out
    assert f"4 of 4 runs finished; no page, as {lab.root}/tiny/report cannot be written ({error.strerror})" in out
    assert not (lab.root / "tiny" / "report").exists()


def test_a_folder_that_is_no_run(tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    assert RunFolder(tmp_path / "loop").summary() is None
    assert not RunFolder(tmp_path / "loop").begun()
