"""How far runs are, by their folders, the file system's clock and Slurm's queue."""

import os
from pathlib import Path

import pytest
import yaml
from lab import make_summary

from lit_resnet.errors import InputError
from lit_resnet.files import clock
from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid, load
from lit_resnet.grid.status import Queued
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status
from lit_resnet.sameness import digest

PENDING = Queued(id="12_3", started=False, node="", note="pending (Resources)")
RUNNING = Queued(id="12_3", started=True, node="n2", note="running")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that was last heard of half way."""
    run = RunFolder(tmp_path / "runs" / "mine" / "a-seed0")
    run.path.mkdir(parents=True)
    run.write_status(Status("running", 50, 100, attempts=1, elapsed=30.0, host="n1"))
    return run


def state(run: RunFolder, job: Queued | None = None, later: float = 0.0) -> tuple[str, str]:
    """State and note, so many seconds later."""
    row = status.row(run, "a", 0, clock(run.path.parent) + later, job)
    return row["state"], row["note"]


def test_a_run_under_way(run: RunFolder):
    with run.locked():
        row = status.row(run, "a", 0, clock(run.path) + 8)
        assert (row["state"], row["note"], row["host"], row["seconds_left"]) == ("running", "", "n1", 30.0)
        assert 8 <= row["silent"] < 60
        assert status.columns([row])["where"](row) == "n1"
        assert state(run, later=250)[0] == "running"


def test_a_run_whose_process_lives_and_says_nothing_is_stalled(run: RunFolder):
    with run.locked():
        assert state(run, later=350)[0] == "stalled"
        run.write_status(Status("running", 0, 100, attempts=1))  # it may have many images to look at first
        assert state(run, later=350)[0] == "running"
        run.write_status(Status("running", 100, 100, attempts=1))  # and many crops in the end
        assert state(run, later=350)[0] == "running"


def test_a_run_whose_process_died_is_stopped(run: RunFolder):
    assert state(run, later=350) == ("stopped", "")
    row = status.row(run, "a", 0, 0.0)
    assert status.columns([row])["where"](row) == ""
    run.write_status(Status("running", 0, 100))
    assert state(run)[0] == "stopped"
    run.write_status(Status("queued", 50, 100, attempts=1, error="its process was killed"))
    assert state(run) == ("stopped", "its process was killed")
    run.write_status(Status("failed", 50, 100, attempts=3, error="a tensor too many"))
    assert state(run, PENDING) == ("failed", "a tensor too many")


def test_a_run_that_is_to_stop_is_cancelled_once_it_has(run: RunFolder):
    run.ask_to_stop()
    with run.locked():
        assert state(run)[0] == "running"
    assert state(run)[0] == "cancelled"
    run.allow()
    assert state(run)[0] == "stopped"
    run.ask_to_stop()
    run.summary_file.write_text("{}")
    assert state(run) == ("done", "")


@pytest.mark.parametrize(("off", "words"), [(312.0, "312 s ahead"), (-75.0, "75 s behind"), (50.0, ""), (-50.0, "")])
def test_a_node_whose_clock_is_off_is_told(run: RunFolder, off: float, words: str):
    written = run.status().heartbeat - off  # when that was, by the file system's clock
    os.utime(run.status_file, (written, written))
    with run.locked():
        row = status.row(run, "a", 0, written + 20)
    assert (row["state"], row["silent"]) == ("running", 20.0), "the node's clock must not count"
    assert row["note"] == (f"the clock of n1 is {words}" if words else "")


def test_what_slurm_says_of_a_run_that_is_not_under_way(run: RunFolder, tmp_path: Path):
    nothing_yet = RunFolder(tmp_path / "runs" / "mine" / "b-seed0")
    assert state(nothing_yet) == ("queued", "")
    assert state(nothing_yet, RUNNING)[0] == "starting"
    assert state(run, PENDING) == ("queued", "job 12_3 pending (Resources)")
    assert state(run, RUNNING) == ("starting", "job 12_3 running")
    row = status.row(run, "a", 0, 0.0, RUNNING)
    assert (row["host"], row["job"], status.columns([row])["where"](row)) == ("n2", "12_3", "n2")
    with run.locked():
        assert state(run, RUNNING) == ("running", "")


def test_jobs_are_found_by_grid_and_folder(run: RunFolder, tmp_path: Path):
    (tmp_path / "base.yaml").write_text("{}")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"a": {}, "b": {}}}))
    grid, root = load(str(tmp_path / "mine.yaml")), tmp_path / "runs"
    rows = status.rows(grid, root, {"b-seed0": PENDING})
    assert [(row["cell"], row["state"], row["job"]) for row in rows] == [
        ("a", "stopped", None),
        ("b", "queued", "12_3"),
    ]
    (row,) = status.runs_below(root, {("mine", "a-seed0"): PENDING, ("other", "a-seed0"): RUNNING})
    assert (row["cell"], row["seed"], row["state"], row["job"]) == ("mine/a", 0, "queued", "12_3")
    for name in ("ResNet-20-digits-seed3-1a2b3c", "first"):
        other = RunFolder(root / "fit" / name)
        other.path.mkdir(parents=True)
        other.write_status(Status("running", 50, 100))
    found = status.runs_below(root)
    assert [(row["cell"], row["seed"]) for row in found] == [
        ("fit/ResNet-20-digits-seed3-1a2b3c", None),
        ("fit/first", None),
        ("mine/a", 0),
    ]
    assert [status.columns(found)["seed"](row) for row in found] == ["–", "–", "0"]


def test_what_a_cell_needs_is_known_from_its_other_seeds():
    rows = [
        {"cell": "a", "memory": None},
        {"cell": "a", "memory": 5},
        {"cell": "a", "memory": 7},
        {"cell": "a", "memory": None},
        {"cell": "b", "memory": None},
    ]
    assert status.known_memory(rows) == [7, 5, 7, 7, None]


def test_of_many_runs_those_under_way_or_failed_are_shown():
    states = ["done"] * 5 + ["queued"] * 5 + ["running", "failed", "stalled"]
    rows = [{"state": state, "place": i} for i, state in enumerate(states)]
    assert [row["place"] for row in status.foremost(rows, 5)] == [12, 11, 10, 5, 6]
    assert status.foremost(rows, 13) == rows
    assert status.overview(rows) == "5 of 13 done, 1 stalled, 1 failed, 1 running, 5 queued"


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    base = {
        "data": {"source": "folder", "root": "/here/photos", "photographs": {"workers": 4}},
        "model": {"rate": {"lr": 0.1}},
    }
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"a": {}}}))
    return load(str(tmp_path / "mine.yaml"))


def test_a_run_of_the_same_values_is_known_without_reading_yaml(run: RunFolder, grid: Grid, monkeypatch):
    (cell,) = grid.cells
    config = grid.config(cell)
    run.write_summary(make_summary())
    run.cell_file.write_text(yaml.safe_dump({**config, "model": {"rate": {"lr": 0.5}}}))
    run.write_status(Status("done", digest=digest({**config, "model": {"rate": {"lr": 0.5}}})))
    with pytest.raises(InputError, match=r"another model.rate.lr \(0.5, not 0.1\)"):
        status.check_config(grid, cell, run)
    monkeypatch.setattr(status, "read_yaml", lambda path: pytest.fail(f"{path} was read"))
    run.write_status(Status("done", digest=digest(config)))
    status.check_config(grid, cell, run)


def test_a_digest_is_of_what_makes_a_run_the_run_it_is(grid: Grid):
    config = grid.config(grid.cells[0])

    def changed(**data: object) -> str:
        return digest({**config, "data": {**config["data"], **data}})

    assert digest(dict(reversed(config.items()))) == digest(config)
    assert changed(root="/there/photos") == digest(config)
    assert changed(photographs={"workers": 8, "damaged": "skip"}) == changed(photographs={})
    assert changed(root="/here/paintings") != digest(config)
    assert changed(photographs={"crop": 100}) != digest(config)
    assert len(digest(config)) == 16
