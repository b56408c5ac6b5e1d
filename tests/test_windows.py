"""Windows is refused in one line by the command line, and what programs import is there."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lit_resnet.cli import VERBS, main
from lit_resnet.runfolder import lock
from lit_resnet.runfolder.lock import Lock

# Libraries are imported first: they ask for the system themselves.
LIKE_WINDOWS = """
import multiprocessing, os, signal, sys
import lightning.pytorch.cli, matplotlib.figure, torchmetrics, torchvision
from filelock import FileLock, SoftFileLease
sys.modules.update({name: None for name in ("fcntl", "resource", "pwd", "grp", "termios")})
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGKILL", "pthread_sigmask", "sigwaitinfo"):
    delattr(signal, name)
for name in ("killpg", "sched_getaffinity", "sched_setaffinity", "sysconf", "fork", "setsid"):
    delattr(os, name)
def no(method=None):
    raise ValueError(f"cannot find context for {method!r}")
multiprocessing.get_context = no
sys.platform = "win32"
import lit_resnet
for name in lit_resnet.__all__:
    getattr(lit_resnet, name)
"""


def test_what_programs_import_is_there():
    done = subprocess.run([sys.executable, "-c", LIKE_WINDOWS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_refused_in_one_line(verb: str, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    assert main([verb, "quickstart"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Windows is not supported: use WSL" in err


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match="^0$"):
        main(["--version"])
    assert "lit-resnet" in capsys.readouterr().out


def test_a_look_at_a_lock_ends_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On Windows `os.kill(pid, 0)` ends the process."""
    with Lock(tmp_path / ".lock").held(0):
        monkeypatch.setattr(lock, "sys", SimpleNamespace(platform="win32"))
        monkeypatch.setattr(lock.os, "kill", lambda *_: pytest.fail("it was asked to end a process"))
        assert Lock(tmp_path / ".lock").holder() == (socket.gethostname(), os.getpid())
        assert Lock(tmp_path / ".lock").live()
        monkeypatch.undo()
