"""The pool with processes that only pretend to train."""

import errno
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from lab import make_summary
from rich.console import Console

from lit_resnet.launch import pool, worker
from lit_resnet.launch.exits import Exit
from lit_resnet.launch.launcher import Outcome
from lit_resnet.launch.pool import Place, Pool, Run
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.summary import Summary


@pytest.fixture(autouse=True)
def _forked(forked: None) -> None:
    """In all tests of this file."""


def pretend(monkeypatch, act) -> None:
    """Let a run be `act(folder, attempt)`, which returns the exit code; what it does is written down in order."""

    def run(config: dict, path: Path, threads: int, cores: tuple | None, gpu: int | None) -> None:
        folder = RunFolder(path)
        folder.path.mkdir(exist_ok=True)
        with folder.locked():
            status = folder.status()
            status.state, status.attempts = "running", status.attempts + 1
            folder.write_status(status)
            note(path.parent, f"{path.name} begins on {gpu}")
            code = act(folder, status.attempts)
            note(path.parent, f"{path.name} ends")
            if code == Exit.DONE:
                folder.write_summary(SUMMARY)
            elif code == Exit.OUT_OF_MEMORY:
                status.died("OutOfMemoryError")
                folder.write_status(status)
        sys.stdout.flush()
        os._exit(code)

    monkeypatch.setattr(worker, "run", run)


SUMMARY = make_summary(steps=1, wall_seconds=1.0)


def note(root: Path, text: str) -> None:
    with (root / "notes.txt").open("a") as file:
        file.write(text + "\n")


def notes(root: Path) -> list[str]:
    return (root / "notes.txt").read_text().splitlines()


def together(root: Path) -> set[frozenset[str]]:
    """Runs that were under way at the same time, by pairs."""
    here, pairs = set(), set()
    for line in notes(root):
        name, what = line.split()[:2]
        if what == "begins":
            pairs |= {frozenset((name, other)) for other in here}
            here.add(name)
        else:
            here.discard(name)
    return pairs


def work(root: Path, runs: list[Run], places: list[Place], capacity: int | None = None) -> Outcome:
    with (root / "said.txt").open("w") as said:
        return Pool(runs, places, capacity, Console(file=said, width=200)).work(lambda: None)


def make(root: Path, *names: str, memory: int | None = None) -> list[Run]:
    return [Run(RunFolder(root / name), {}, memory) for name in names]


ONE_GPU = [Place(1, None, 0)] * 3


def test_one_that_runs_out_of_memory_is_tried_again_alone_and_hurts_no_other(tmp_path: Path, monkeypatch):
    def act(folder: RunFolder, attempt: int) -> int:
        time.sleep(0.3)
        return Exit.OUT_OF_MEMORY if folder.path.name == "large" and attempt == 1 else Exit.DONE

    pretend(monkeypatch, act)
    outcome = work(tmp_path, make(tmp_path, "large", "a", "b", "c"), ONE_GPU)
    assert not outcome.failed
    assert all(run.folder.summary() for run in make(tmp_path, "large", "a", "b", "c"))
    lines = notes(tmp_path)
    again = len(lines) - 1 - lines[::-1].index("large begins on 0")
    assert lines[again + 1] == "large ends", "nobody begins beside it"
    begun, ended = (sum(what in line for line in lines[:again]) for what in ("begins", "ends"))
    assert begun == ended, "and all others have ended"


def test_what_is_known_not_to_fit_is_not_started_together(tmp_path: Path, monkeypatch):
    pretend(monkeypatch, lambda *_: time.sleep(0.1) or Exit.DONE)
    gib = 2**30
    runs = [*make(tmp_path, "a", "b", memory=6 * gib), *make(tmp_path, "c", memory=2 * gib)]
    assert not work(tmp_path, runs, ONE_GPU, capacity=11 * gib).failed
    assert together(tmp_path) == {frozenset("ac"), frozenset("bc")} or together(tmp_path) == {frozenset("ac")}


def test_one_that_is_killed_three_times_at_one_place_fails_alone(tmp_path: Path, monkeypatch):
    def act(folder: RunFolder, attempt: int) -> int:
        if folder.path.name == "bad":
            folder.log_file.write_text("reading\nthe last word\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return Exit.DONE

    pretend(monkeypatch, act)
    assert work(tmp_path, make(tmp_path, "bad", "good"), ONE_GPU).failed == ["bad"]
    status = RunFolder(tmp_path / "bad").status()
    assert (status.state, status.attempts) == ("failed", 3)
    assert status.error == "killed by signal 9; died 3 times from iteration 0 on"
    assert RunFolder(tmp_path / "good").summary()
    said = (tmp_path / "said.txt").read_text()
    assert said.count("it is tried again") == 2
    assert "    the last word" in said, "the end of its log"


def test_one_that_dies_before_it_begins_is_not_tried_for_ever(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(worker, "run", lambda *_: os._exit(Exit.DIED))
    assert work(tmp_path, make(tmp_path, "a"), ONE_GPU).failed == ["a"]
    assert RunFolder(tmp_path / "a").status().error == f"exit code {Exit.DIED}; died 3 times from iteration 0 on"


def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(pool, "FULL_SECONDS", 0.05)
    pretend(monkeypatch, lambda folder, attempt: Exit.DISK_FULL if attempt < 6 else Exit.DONE)
    assert not work(tmp_path, make(tmp_path, "a"), ONE_GPU).failed
    assert (tmp_path / "said.txt").read_text().count("the disk is full") == 1


def test_a_file_system_that_is_away_for_a_while_loses_no_run(tmp_path: Path, monkeypatch):
    pretend(monkeypatch, lambda *_: Exit.DONE)
    summary, away = RunFolder.summary, iter([True, False, True, True])

    def read(folder: RunFolder) -> Summary | None:
        if next(away, False):
            raise OSError(errno.EIO, "Input/output error")
        return summary(folder)

    monkeypatch.setattr(RunFolder, "summary", read)
    runs = make(tmp_path, "a", "b")
    assert not work(tmp_path, runs, ONE_GPU).failed
    assert all(summary(run.folder) for run in runs)


def test_a_disk_that_refuses_the_lock_ends_the_process_as_a_full_disk(tmp_path: Path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    assert worker.train({}, tmp_path / "run", 1, "here") == (Exit.DISK_FULL, None)


def test_cancelled_ones_are_passed_over(tmp_path: Path, monkeypatch):
    pretend(monkeypatch, lambda *_: Exit.DONE)
    runs = make(tmp_path, "a", "b")
    runs[0].folder.path.mkdir()
    runs[0].folder.ask_to_stop()
    outcome = work(tmp_path, runs, ONE_GPU)
    assert outcome.cancelled == ["a"]
    assert not runs[0].folder.summary()
    assert runs[1].folder.summary()
