"""`lit-resnet run`: one run by one command, with processes that only pretend to train; on Slurm see test_launch.py."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from lab import make_summary

from lit_resnet import report
from lit_resnet.cli import main
from lit_resnet.launch import pool, worker
from lit_resnet.launch.exits import Exit
from lit_resnet.runfolder import provenance
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status

SUMMARY = make_summary()


@pytest.fixture
def trained(forked: None, monkeypatch) -> Iterator[list[str]]:
    """Runs write down their config and are done. Yields the reports that are written."""
    monkeypatch.setattr(pool, "checked", lambda grid: ([], []))
    reports: list[str] = []
    monkeypatch.setattr(report, "write", lambda asked: reports.append(asked.name) or SimpleNamespace(page="index.html"))
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)}
    pretend(monkeypatch, lambda folder: Exit.DONE)
    yield reports
    for number, handler in before.items():
        signal.signal(number, handler)


def pretend(monkeypatch, act: Callable[[RunFolder], int]) -> None:
    def run(config: dict, path: Path, *_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(Exit.STOPPED))
        folder = RunFolder(path)
        folder.path.mkdir(exist_ok=True)
        folder.cell_file.write_text(yaml.safe_dump(config))
        code = act(folder)
        if code == Exit.DONE:
            folder.write_summary(SUMMARY)
        sys.stdout.flush()
        os._exit(code)

    monkeypatch.setattr(worker, "run", run)


@pytest.fixture
def args(tmp_path: Path) -> list[str]:
    (tmp_path / "base.yaml").write_text("{}")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"a": {}, "b": {}}}))
    return [str(tmp_path / "tiny.yaml"), "--root", str(tmp_path / "runs")]


def test_exactly_one_run(trained: list, args: list[str], tmp_path: Path, capsys):
    a, b = (RunFolder(tmp_path / "runs" / "tiny" / f"{name}-seed0") for name in "ab")
    assert main(["run", *args, "a", "--set", "model.rate.lr=0.5"]) == 0
    assert a.summary()
    assert yaml.safe_load(a.cell_file.read_text()) == {"seed_everything": 0, "model": {"rate": {"lr": 0.5}}}
    assert not b.path.exists()
    assert trained == [], "not the last run: no report yet"
    assert main(["run", *args, "b"]) == 0
    assert trained == [args[0]]
    assert main(["run", *args, "c"]) == 2
    assert "c: no cell of tiny" in capsys.readouterr().err
    assert main(["run", *args, "a", "--set", "model.rate.lr=0.1"]) == 2
    assert "was run with another model.rate.lr (0.5, not 0.1)" in capsys.readouterr().err


def test_a_queued_run_is_what_it_was_when_it_was_queued(trained: list, args: list[str], tmp_path: Path, capsys):
    """The grid file is gone since; one has failed, one was cancelled, and neither is touched."""
    runs = [RunFolder(tmp_path / "runs" / "tiny" / f"{name}-seed0") for name in ("a", "failed", "cancelled")]
    for run in runs:
        run.path.mkdir(parents=True)
        run.cell_file.write_text(yaml.safe_dump({"model": {"rate": {"lr": 7}}}))
    status = runs[1].status()
    status.state = "failed"
    runs[1].write_status(status)
    runs[2].ask_to_stop()
    Path(args[0]).unlink()
    assert main(["run", args[0], *(run.path.name for run in runs), *args[1:], "--as-queued"]) == Exit.FAILED
    assert [bool(run.summary()) for run in runs] == [True, False, False]
    assert yaml.safe_load(runs[0].cell_file.read_text()) == {"model": {"rate": {"lr": 7}}}
    assert "no report: " in capsys.readouterr().out
    assert main(["run", args[0], "b-seed0", *args[1:], "--as-queued"]) == 2
    assert "b-seed0: no launch has queued this run; leave out --as-queued" in capsys.readouterr().err


def test_a_queued_run_is_not_trained_by_other_code(trained: list, args: list[str], tmp_path: Path, capsys):
    runs = [RunFolder(tmp_path / "runs" / "tiny" / f"{name}-seed0") for name in ("a", "b", "done")]
    for run, code in zip(runs, ("0123456789abcdef", provenance.code(), "0123456789abcdef"), strict=True):
        run.path.mkdir(parents=True)
        run.cell_file.write_text("{}")
        run.write_status(Status(code=code))
    runs[2].write_summary(SUMMARY)
    words = ["run", args[0], *(run.path.name for run in runs), *args[1:], "--as-queued"]
    assert main(words) == 2
    why = "code changed since it was queued: launch again to queue it with the new code"
    assert capsys.readouterr().err == f"lit-resnet: a-seed0: {why}\n"
    assert [run.status().state for run in runs[:2]] == ["failed", "queued"]
    assert runs[0].status().error == why
    assert [bool(run.summary()) for run in runs] == [False, False, True]
    assert main(words) == Exit.FAILED, "when its job gets another turn, the others are trained"
    assert [bool(run.summary()) for run in runs] == [False, True, True]
    runs[0].write_status(Status(code=provenance.code()))  # as the next launch queues it
    assert main(words) == Exit.DONE


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=str
)
def test_how_it_ends_says_who_stopped_it(trained: list, args: list[str], monkeypatch, number: int, code: int):
    def act(folder: RunFolder) -> int:
        os.kill(os.getppid(), number)
        time.sleep(60)
        return Exit.DONE

    pretend(monkeypatch, act)
    assert main(["run", *args, "a"]) == code
    assert trained == []


def test_one_that_fails(trained: list, args: list[str], monkeypatch):
    pretend(monkeypatch, lambda folder: Exit.FAILED)
    assert main(["run", *args, "a"]) == 1
    pretend(monkeypatch, lambda folder: Exit.DONE)
    assert main(["run", *args, "a"]) == 0, "who asks again gives it another chance"


def test_processes_of_one_run_need_one_run(trained: list, args: list[str], monkeypatch, capsys):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert main(["run", *args, "a", "b"]) == 2
    assert "2 runs for 4 processes of one: name one run" in capsys.readouterr().err
