"""One process at a time, of all machines that share a folder."""

import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from filelock import LeaseCompromise, LeaseSettingsMismatch, SoftFileLease, Timeout

from lit_resnet.errors import InputError
from lit_resnet.files import clock

FILE = ".lock"  # of whoever trains in a folder
LEASE_SECONDS, HEARD_SECONDS = 30.0, 5.0
LOOK_SECONDS = 0.1  # between two looks of one who waits
LOOKS = 5  # at a lock that is not one's own, before it counts as lost: who takes it over may give it back at once
LOST = 76  # exit code of a holder that has lost its lock


class InUse(InputError):
    """Another process is training in this folder."""


class Lock:
    """A file that names its holder, who touches it every `HEARD_SECONDS`; needs no more of a file system than NFS has.

    The lock of a process that died on this machine is taken over at once, where the file system can. Any other counts
    until nothing was heard of its holder for `LEASE_SECONDS`, which who wants it counts by a clock of his own: machines
    need not agree on the time. A holder that was asleep for so long, and whose lock was taken over, ends when it next
    writes into the folder (see `confirm`), or `HEARD_SECONDS` later.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._own = b""  # what the file holds while this process holds the lock; a token in it makes it unique

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold it; waits for as long as it takes to see that a silent holder is dead.

        Raises:
            InUse: A live process still holds it after `timeout` seconds.
            OSError: The folder cannot be written.
        """
        lease = self._lease()
        self._acquire(lease, timeout)
        try:
            self._own = self.file.read_bytes()
            _held[os.path.abspath(self.file)] = self
            yield
        finally:
            _held.pop(os.path.abspath(self.file), None)
            lease.release()

    def check(self) -> None:
        """End this process if the lock, which it has taken, is another's now.

        Raises:
            OSError: The file system does not answer.
        """
        for look in range(LOOKS):
            if look:
                time.sleep(LOOK_SECONDS)
            try:
                if self.file.read_bytes() == self._own:
                    return
            except FileNotFoundError:
                if not self.file.parent.is_dir():  # whoever writes there will say so
                    return
        _end(self.file, "while this one was asleep")

    def live(self) -> bool:
        """Whether a live process holds it, as far as a look can tell; changes nothing."""
        try:
            heard = self.file.stat().st_mtime
        except OSError:
            return False
        return not self._dead() and clock(self.file.parent) - heard < LEASE_SECONDS

    def holder(self) -> tuple[str, int] | None:
        """Host and process id that stand in it; None where nothing does."""
        owner = self._lease().owner
        return (owner.hostname.split("?")[0], owner.pid) if owner else None  # a container's number follows the name

    def _lease(self) -> SoftFileLease:
        return SoftFileLease(
            self.file, lease_duration=LEASE_SECONDS, heartbeat_interval=HEARD_SECONDS, on_compromise=_lost
        )

    def _acquire(self, lease: SoftFileLease, timeout: float) -> None:
        begun = since = time.monotonic()
        seen = self._marker()
        while True:
            with suppress(Timeout, LeaseSettingsMismatch):
                lease.acquire(blocking=False)
                return
            now, marker = time.monotonic(), self._marker()
            if marker != seen:
                seen, since = marker, now
            elif marker and (now - since > LEASE_SECONDS or self._zombie()):
                self._set_aside(marker)
            if now - begun >= timeout and (since > begun or self.live()):
                who = "another process ({1} on {0})".format(*self.holder() or ("a machine", "some"))
                raise InUse(f"{self.file.parent}: {who} is training this run; wait for it, or stop it")
            if now - since > LEASE_SECONDS + HEARD_SECONDS:
                raise InUse(f"{self.file}: is left of a process that died and cannot be replaced; is the disk full?")
            time.sleep(LOOK_SECONDS)

    def _marker(self) -> tuple[int, int] | None:
        """What changes with each sign of life and each holder."""
        try:
            found = self.file.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _set_aside(self, marker: tuple[int, int]) -> None:
        """Remove a dead holder's file where filelock does not: a file system of a network cannot exchange two names."""
        aside = self.file.with_name(f"{self.file.name}.{secrets.token_hex(8)}")
        with suppress(FileNotFoundError):
            os.rename(self.file, aside)
            moved = aside.stat()
            if (moved.st_ino, moved.st_mtime_ns) != marker:  # somebody was quicker: it is his, who is alive
                with suppress(OSError):
                    os.link(aside, self.file)
            aside.unlink()

    def _dead(self) -> bool:
        """Whether it is known that the holder is gone: its process was on this machine, and is not there."""
        host, pid = self.holder() or (None, 0)
        if host != socket.gethostname() or sys.platform == "win32":  # where `os.kill` would end the process
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # another user's
            return False
        return self._zombie()

    def _zombie(self) -> bool:
        """Whether it has ended, but nobody asked how, as in a container with no proper init; to filelock it lives on.

        That it is the same process, its start in clock ticks says.
        """
        owner = self._lease().owner
        if not owner or owner.start is None or owner.hostname.split("?")[0] != socket.gethostname():
            return False
        try:
            state, *fields = Path(f"/proc/{owner.pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return False
        return state == b"Z" and int(fields[18]) == owner.start % 2**64


# The locks that this process holds, by their files.
_held: dict[str, Lock] = {}


def confirm(folder: Path) -> None:
    """Let a process go on that holds the lock of this folder, or never did; one that has lost it ends at once (`LOST`).

    Called before each write into a run folder: a process may have been asleep, in a virtual machine that was paused,
    say, for so long that another one trains the run now. One that falls asleep between this and its write, within
    milliseconds, still writes once when it wakes.

    Raises:
        OSError: The file system does not answer.
    """
    if lock := _held.get(os.path.abspath(folder / FILE)):
        lock.check()


def _lost(lost: LeaseCompromise) -> None:
    _end(lost.lock_file, f"({lost.reason})")


def _end(file: Path | str, how: str) -> NoReturn:
    print(f"{file}: lost to another process {how}; this one ends", file=sys.stderr, flush=True)
    os._exit(LOST)
