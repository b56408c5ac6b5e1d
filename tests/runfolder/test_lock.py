"""One process at a time in a run folder, of all machines that share it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lit_resnet import files
from lit_resnet.errors import InputError
from lit_resnet.files import append_whole, clock, write_whole
from lit_resnet.runfolder import lock
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lock import LOST, InUse, Lock
from lit_resnet.runfolder.records import RESPONSES
from lit_resnet.runfolder.status import Status

LEASE, HEARD = 0.6, 0.1


@pytest.fixture
def quick(monkeypatch) -> None:
    """Leases of half a second."""
    monkeypatch.setattr(lock, "LEASE_SECONDS", LEASE)
    monkeypatch.setattr(lock, "HEARD_SECONDS", HEARD)
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.01)


@pytest.fixture(params=[True, False], ids=["local", "network"])
def file_system(request, monkeypatch) -> None:
    """One that can exchange two names, and one that cannot, as NFS."""
    if not request.param:
        no_exchange(monkeypatch)


def no_exchange(monkeypatch) -> None:
    """No file system can exchange two names; wherever this version of filelock has the function for it."""
    there = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("filelock")]
    users = [names for names in there if "exchange_names" in names]
    assert users
    for names in users:
        monkeypatch.setitem(names, "exchange_names", lambda *_: False)


def held_elsewhere(folder: Path, host: str = "elsewhere") -> Lock:
    """A lock whose holder is a process of another machine, with this machine's number of a process that lives."""
    lines = ["filelock/2", f"pid={os.getpid()}", f"host={host}", "mode=lease", "token=0123", f"duration={LEASE}"]
    write_whole(folder / ".lock", "".join(f"{line}\n" for line in lines))
    return Lock(folder / ".lock")


def test_a_folder_in_use_is_left_alone(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    assert not folder.in_use()
    assert folder.holder() is None
    other = RunFolder(folder.path)
    with folder.locked():
        with (
            pytest.raises(InUse, match=f"another process \\({os.getpid()} on .*\\) is training this run"),
            other.locked(),
        ):
            pass
        assert other.in_use()
        assert other.holder()[1] == os.getpid()
    assert not folder.in_use()
    with other.locked():
        pass
    assert list(folder.path.iterdir()) == []


HOLDER = """
import sys, time
from lit_resnet.runfolder import lock
lock.LEASE_SECONDS, lock.HEARD_SECONDS = 0.6, 0.1
with lock.Lock(lock.Path(sys.argv[1])).held(timeout=0):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(file: Path) -> subprocess.Popen:
    """Another process of this machine that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.usefixtures("quick", "file_system")
def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path: Path):
    folder = RunFolder(tmp_path)
    process = holder(tmp_path / ".lock")
    assert folder.in_use()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not folder.in_use()
    with folder.locked():
        assert folder.holder()[1] == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of them")
def test_a_process_that_was_killed_is_dead_though_nobody_asked_how_it_ended(tmp_path: Path):
    """As in a container whose first process asks for no other's end."""
    folder = RunFolder(tmp_path)
    process = holder(tmp_path / ".lock")
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not folder.in_use()
    with folder.locked():
        assert folder.holder()[1] == os.getpid()
    process.communicate()


@pytest.mark.usefixtures("quick")
def test_a_holder_that_has_lost_its_lock_ends_at_once(tmp_path: Path):
    process = holder(tmp_path / ".lock")
    (tmp_path / "new").write_text("another one's")
    os.replace(tmp_path / "new", tmp_path / ".lock")
    _, said = process.communicate(timeout=30)
    assert process.returncode == LOST
    assert said.splitlines() == [f"{tmp_path / '.lock'}: lost to another process (owner-changed); this one ends"]


# It puts itself to sleep between two writes: what sleeps between its look at the lock and its write, writes.
WRITER = """
import os, signal, sys
from lit_resnet.runfolder import lock
lock.LEASE_SECONDS, lock.HEARD_SECONDS, lock.LOOK_SECONDS = 0.6, 0.5, 0.01
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES
folder, step = RunFolder(sys.argv[1]), 0
with folder.locked():
    RESPONSES.replace(folder.path, [])
    print("held", flush=True)
    while True:
        step += 1
        RESPONSES.append(folder.path, [{"layer": step, "name": "old", "std": 1.0}])
        folder.write_status(folder.status())
        if step == 5:
            os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing puts a process to sleep here")
def test_a_holder_that_was_asleep_writes_nothing_after_another_has_taken_over(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", LEASE)
    monkeypatch.setattr(lock, "HEARD_SECONDS", 0.5)  # a beat comes too late to tell it
    folder = RunFolder(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    with folder.locked(timeout=10):
        rows = RESPONSES.grown(folder.path)
        assert len(rows) == 5
        RESPONSES.replace(folder.path, [*rows, {"layer": len(rows) + 1, "name": "new", "std": 2.0}])
        before = {path: path.read_bytes() for path in (RESPONSES.file(tmp_path), folder.status_file)}
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == LOST
        assert said == f"{tmp_path / '.lock'}: lost to another process while this one was asleep; this one ends\n"
        assert before == {path: path.read_bytes() for path in before}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["responses.csv", "status.json"]


@pytest.mark.usefixtures("quick")
def test_a_lock_that_is_away_for_a_moment_is_not_lost(tmp_path: Path):
    """As while another process looks whether its holder is dead; and where the folder itself is gone, writing tells."""
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        mark, aside = folder.path / ".lock", folder.path / "aside"
        mark.rename(aside)
        back = threading.Timer(0.02, lambda: aside.rename(mark))
        back.start()
        folder.write_status(folder.status())
        back.join()
        folder.path.rename(tmp_path / "moved")
        with pytest.raises(FileNotFoundError):
            folder.write_status(Status())
        (tmp_path / "moved").rename(folder.path)


def test_there_is_one_way_to_write_into_a_run_folder():
    """What trains writes by `runfolder.writing`, which asks for the lock; an export lies where its user says."""
    package = Path(lock.__file__).parent.parent
    files = [path for room in ("runfolder", "training", "run") for path in (package / room).rglob("*.py")]
    others = [path.name for path in files if re.search(r"write_whole|append_whole|write_text", path.read_text())]
    assert sorted(others) == ["export.py", "writing.py"]


def test_whoever_never_had_the_lock_may_write(tmp_path: Path):
    folder = RunFolder(tmp_path)
    with folder.locked():
        pass
    folder.write_status(Status())
    held_elsewhere(tmp_path)
    folder.write_status(Status(step=3))  # such as a launcher, about a run that has not begun
    assert folder.status().step == 3


@pytest.mark.usefixtures("quick", "file_system")
@pytest.mark.parametrize("content", ["as written", ""], ids=["dead", "killed while it wrote its name"])
def test_the_lock_of_a_machine_that_vanished_is_taken_over_by_one(tmp_path: Path, content: str):
    """However many want it."""
    held_elsewhere(tmp_path)
    if not content:
        (tmp_path / ".lock").write_text("")
    inside, most, done = [], [], []

    def run() -> None:
        for _ in range(100):
            try:
                with Lock(tmp_path / ".lock").held(timeout=0):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.02)
                    inside.pop()
                    done.append(1)
                    return
            except InUse:
                time.sleep(0.01)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 8
    assert max(most) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_another_one_was_quicker_to_take_it_over(tmp_path: Path, monkeypatch):
    """At the last moment, where a file system cannot exchange names: that one is left alone."""
    no_exchange(monkeypatch)
    held, rename = held_elsewhere(tmp_path), os.rename

    def late(a: Path, b: Path) -> None:
        held_elsewhere(tmp_path, "third")
        rename(a, b)

    monkeypatch.setattr(os, "rename", late)
    os.utime(held.file, (0, 0))
    with pytest.raises(InUse, match="on third"), held.held(timeout=0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.usefixtures("quick", "file_system")
def test_a_sign_of_life_is_enough_whatever_the_clocks_say(tmp_path: Path):
    """The holder's file system lives in another year."""
    held = held_elsewhere(tmp_path)
    over = threading.Event()

    def touch() -> None:
        year = 0
        while not over.wait(HEARD):
            year += 1
            os.utime(held.file, (year, year))

    os.utime(held.file, (0, 0))
    thread = threading.Thread(target=touch)
    thread.start()
    try:
        with (
            pytest.raises(InUse, match=f"another process \\({os.getpid()} on elsewhere\\)"),
            held.held(timeout=2 * LEASE),
        ):
            pass
    finally:
        over.set()
        thread.join()


@pytest.mark.usefixtures("quick")
def test_another_machine_was_heard_of_lately(tmp_path: Path):
    held = held_elsewhere(tmp_path)
    assert held.live()
    os.utime(held.file, (clock(tmp_path) - 2 * LEASE,) * 2)
    assert not held.live()


def test_looking_changes_nothing_and_needs_no_right_to_write(tmp_path: Path, monkeypatch):
    folder = RunFolder(tmp_path)
    held_elsewhere(tmp_path)
    before = tmp_path.stat().st_mtime_ns, (tmp_path / ".lock").read_text()
    assert folder.in_use()
    assert (tmp_path.stat().st_mtime_ns, (tmp_path / ".lock").read_text()) == before

    def refuse(**_) -> None:
        raise PermissionError

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    assert folder.in_use()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be written \\(Not a directory\\)"),
        RunFolder(tmp_path / "file/a").locked(),
    ):
        pass


def test_how_long_a_run_was_silent(tmp_path: Path):
    folder = RunFolder(tmp_path)
    assert folder.silent(clock(tmp_path)) is None
    folder.write_status(folder.status())
    assert 0 <= folder.silent(clock(tmp_path)) < 60
    assert folder.silent(clock(tmp_path) + 1000) >= 1000
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_what_cannot_be_written_leaves_no_part(tmp_path: Path, monkeypatch):
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    write_whole(whole, "old")
    append_whole(grown, "one\n")

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(whole, "new")
    with pytest.raises(OSError, match="No space"):
        append_whole(grown, "two\n")
    assert (whole.read_text(), grown.read_text()) == ("old", "one\n")
    assert len(list(tmp_path.iterdir())) == 2
