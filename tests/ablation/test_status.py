"""What `status` says of a run, from its folder and from Slurm's queue."""

import os
import time
from pathlib import Path

import pytest

from lit_resnet.ablation import status
from lit_resnet.ablation.status import Job
from lit_resnet.runfolder import RunFolder, Status, clock


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    return folder


def row(run: RunFolder, job: Job | None = None) -> dict:
    return status.row(run, "a", 0, clock(run.path), job)


PENDING, RUNNING = Job("12_3", "PENDING", "", "Resources"), Job("12_3", "RUNNING", "n7", "None")


def test_in_the_queue(run: RunFolder):
    assert row(run)["state"] == "queued"
    assert [row(run, PENDING)[key] for key in ("state", "note", "job")] == [
        "queued",
        "job 12_3 pending (Resources)",
        "12_3",
    ]
    assert [row(run, RUNNING)[key] for key in ("state", "note", "host")] == ["starting", "job 12_3 running", "n7"]


def test_that_died_or_was_stopped_goes_on_with_its_job(run: RunFolder):
    run.write_status(Status("running", 5, 10, attempts=1))
    assert row(run)["state"] == "stopped", "nobody holds its lock"
    assert row(run, PENDING)["state"] == "queued"
    run.write_status(Status("queued", 5, 10, attempts=1))
    assert row(run)["state"] == "stopped"


def test_cancelled_until_it_is_allowed(run: RunFolder):
    run.write_status(Status("queued", 5, 10, attempts=1))
    run.ask_to_stop()
    assert row(run)["state"] == "cancelled"
    run.allow()
    assert row(run)["state"] == "stopped"


def test_running_and_stalled(run: RunFolder):
    with run.locked():
        run.write_status(Status("running", 50, 100, attempts=1, elapsed=20.0, host="n1"))
        assert [row(run)[key] for key in ("state", "seconds_left", "note")] == ["running", 20.0, ""]
        before = time.time() - status.STALLED_SECONDS - 10
        os.utime(run.status_file, (before, before))
        assert row(run)["state"] == "stalled"


@pytest.mark.parametrize(
    ("seconds", "note"), [(300, "the clock of n1 is 300 s ahead"), (-90, "the clock of n1 is 90 s behind")]
)
def test_a_clock_that_is_wrong_is_told_and_makes_nothing_stalled(run: RunFolder, monkeypatch, seconds: int, note: str):
    now = time.time
    with run.locked():
        monkeypatch.setattr(time, "time", lambda: now() + seconds)  # of the machine that trains
        run.write_status(Status("running", 50, 100, host="n1"))
        monkeypatch.setattr(time, "time", now)
        assert [row(run)[key] for key in ("state", "note")] == ["running", note]


def test_memory_that_is_known_of_a_cells_other_seeds():
    rows = [
        {"cell": "a", "memory": None},
        {"cell": "a", "memory": 5},
        {"cell": "a", "memory": 7},
        {"cell": "b", "memory": None},
    ]
    assert status.known_memory(rows) == [7, 5, 7, None]


def test_of_many_runs_those_to_look_at_first():
    rows = [{"state": state} for state in ["done"] * 5 + ["failed", "queued", "stalled", "running"]]
    assert [r["state"] for r in status.foremost(rows, 4)] == ["stalled", "failed", "running", "queued"]
    assert status.foremost(rows, 9) == rows
