"""Runs side by side on this machine, each in a process and a place of its own.

A fork server imports torch and lightning once (15 s of CPU). Each run is forked from it: it starts at once, and its
death cannot hurt the others. A run that dies goes on from its last checkpoint, until it has died three times at the
same iteration. This process needs neither torch nor lightning: it only watches the run folders.
"""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from lit_resnet.errors import Failure, InputError, shown
from lit_resnet.files import FOR_A_WHILE
from lit_resnet.grid.grid import Grid
from lit_resnet.launch import worker
from lit_resnet.launch.exits import Exit
from lit_resnet.launch.launcher import Outcome
from lit_resnet.launch.planned import Planned
from lit_resnet.listing import duration, plainly
from lit_resnet.runfolder.folder import RunFolder

LOOK_SECONDS = 0.3  # between two looks at the run folders
FULL_SECONDS = 10.0  # between two tries where the disk is full
TAIL_LINES = 12  # of a failed run's log, to print
# Memory that a process holds on a GPU besides its tensors: CUDA's context and libraries.
CONTEXT_BYTES = 600 * 2**20

CONTEXT = multiprocessing.get_context("forkserver")
SERVER_DIED = 255  # the exit code that multiprocessing gives to every process of a fork server that has died


@dataclass
class Run:
    """A run to train.

    Args:
        folder: Its folder.
        config: Its config.
        memory: Bytes that it is known to need, on its GPU if there is one; None where unknown.
        alone: Whether it must have its GPU for itself, since it ran out of memory beside others.
        not_before: The earliest time to start it, by the monotonic clock: later where the disk was full.
    """

    folder: RunFolder
    config: dict[str, Any]
    memory: int | None = None
    alone: bool = False
    not_before: float = 0.0

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.path.name


@dataclass(frozen=True)
class Place:
    """A slot for one run at a time.

    Args:
        threads: Threads of the run.
        cores: The cores that it is pinned to; None for no pinning.
        gpu: Number of its GPU; None for the CPU.
    """

    threads: int
    cores: tuple[int, ...] | None
    gpu: int | None


class _Orphan:
    """A run whose process lives on while the fork server is dead, which was to tell how it ends: its folder tells."""

    def __init__(self, run: Run, pid: int) -> None:
        self.run, self.pid = run, pid

    @property
    def exitcode(self) -> int | None:
        """None while it lives; then a code of `Exit`."""
        if _lives(self.pid) and (self.run.folder.holder() or ("", self.pid))[1] == self.pid:
            return None
        if self.run.folder.summary():
            return Exit.DONE
        return {"failed": Exit.FAILED, "queued": Exit.STOPPED}.get(self.run.folder.status().state, Exit.DIED)

    def terminate(self) -> None:
        """Let it save and end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass
class _Running:
    run: Run
    process: BaseProcess | _Orphan
    place: Place
    attempts: int  # before this one


class Pool:
    """Trains runs, as many at a time as there are places.

    Args:
        todo: The runs, in the order in which they start.
        places: A place for each run at a time.
        capacity: Bytes of memory of each GPU, or of the machine if there is none: runs that are known to need more
            together are not started together. None where unknown.
        console: Takes a line about each run that ends.
    """

    def __init__(self, todo: list[Run], places: list[Place], capacity: int | None, console: Console) -> None:
        self.todo, self.free, self.capacity, self.console = list(todo), list(places), capacity, console
        self.running: list[_Running] = []
        self.stopping = False
        self.outcome = Outcome()

    def work(self, look: Callable[[], None]) -> Outcome:
        """Train all runs, and call `look` several times a second meanwhile."""
        while self.running or (self.todo and not self.stopping):
            try:
                if not self.stopping:
                    self._start()
                wait([r.process.sentinel for r in self.running if not isinstance(r.process, _Orphan)], LOOK_SECONDS)
                self._reap()
            except OSError as error:
                if error.errno not in FOR_A_WHILE:
                    raise
                time.sleep(LOOK_SECONDS)  # the file system of the run folders is away: the runs wait for it, too
            look()
        return self.outcome

    def stop(self) -> None:
        """Let every run save where it is and end; a second call ends them at once. For a signal's handler."""
        for running in self.running:
            if self.stopping:
                running.process.kill()
            else:
                running.process.terminate()
        self.stopping = self.outcome.stopped = True

    def _start(self) -> None:
        """Fill the free places; a run that another launcher trains stays in `todo` until its lock is free."""
        for run in list(self.todo):
            if not self.free:
                return
            if run.folder.cancelled:
                self.todo.remove(run)
                self.outcome.cancelled.append(run.name)
                continue
            if time.monotonic() < run.not_before:
                continue
            place = next((place for place in self.free if self._fits(run, place)), None)
            if place is None or run.folder.in_use():
                continue
            finished, attempts = run.folder.summary(), run.folder.status().attempts
            self.todo.remove(run)
            if finished:  # another launcher has done it
                continue
            self.free.remove(place)
            process = CONTEXT.Process(
                target=worker.run, args=(run.config, run.folder.path, place.threads, place.cores, place.gpu)
            )
            try:
                process.start()
            except (OSError, EOFError):  # the fork server has died
                start_server()
                self.todo.append(run)
                self.free.append(place)
                return
            self.running.append(_Running(run, process, place, attempts))
            if self.stopping:  # the signal came while it was started
                process.terminate()

    def _fits(self, run: Run, place: Place) -> bool:
        """Whether the run has room beside the others on the same GPU; always, where there are no others."""
        there = [r.run for r in self.running if r.place.gpu == place.gpu]
        together = (*there, run)
        if not there or any(r.alone for r in together):
            return not there
        context = 0 if place.gpu is None else CONTEXT_BYTES
        return self.capacity is None or sum((r.memory or 0) + context for r in together) <= self.capacity

    def _reap(self) -> None:
        """Free the places of the runs that have ended, and decide whether they are tried again."""
        for ended in list(self.running):
            run, code = ended.run, ended.process.exitcode
            if code == SERVER_DIED and not isinstance(ended.process, _Orphan):
                start_server()
                ended.process = _Orphan(run, ended.process.pid or 0)
                code = ended.process.exitcode
            if code is None:
                continue
            cancelled = run.folder.cancelled  # read before anything is changed: a file system that is away raises
            self.running.remove(ended)
            self.free.append(ended.place)
            if code == Exit.IN_USE:
                self.todo.append(run)
            elif code == Exit.DISK_FULL:
                if not run.not_before:
                    self._say(f"{run.name}: the disk is full, or away; tried again every {FULL_SECONDS:.0f} s")
                run.not_before = time.monotonic() + FULL_SECONDS
                self.todo.append(run)
            elif code == Exit.DONE:
                self._say_done(run)
            elif cancelled:
                self.outcome.cancelled.append(run.name)
                self._say(f"{run.name}: cancelled; the next launch continues it")
            elif code in (Exit.STOPPED, -signal.SIGTERM) or self.stopping:
                self.outcome.stopped = True
                self._say(f"{run.name}: stopped by a signal; the next launch continues it")
            else:
                self._died(ended, code)

    def _say_done(self, run: Run) -> None:
        found = run.folder.summary()
        assert found is not None  # written before the run ends with `Exit.DONE`
        end = "diverged" if found.diverged else "done"
        self._say(f"{run.name}: {end} in {duration(found.wall_seconds)}, {found.results}")

    def _died(self, ended: _Running, code: int) -> None:
        """Record a death, which a killed run could not do itself; then the run is tried again, or has failed."""
        run, failed = ended.run, code == Exit.FAILED
        reason = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        lines: list[str] = []
        try:
            if run.folder.log_file.exists():
                lines = run.folder.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
            with run.folder.locked(timeout=5):
                status = run.folder.status()
                if failed:
                    status.state, status.error = "failed", lines[-1].removeprefix("error: ") if lines else reason
                elif status.state == "running" or status.attempts == ended.attempts:
                    status.died(reason)
                run.folder.write_status(status)
            failed, reason = status.state == "failed", status.error or reason
        except (OSError, InputError) as error:  # such as a full disk, which must not end the other runs
            failed, reason = True, f"{reason}; its folder cannot be used: {error}"
        if not failed:
            run.alone = run.alone or code == Exit.OUT_OF_MEMORY
            self.todo.append(run)
            self._say(f"{run.name}: {escape(reason)}; it is tried again")
            return
        self.outcome.failed.append(run.name)
        self._say(f"[red]{run.name}: failed:[/red] {escape(reason)}")
        for line in lines[-TAIL_LINES:]:
            plainly(self.console)(f"    {line}")
        self._say(f"    (the whole log: {escape(str(run.folder.log_file))})")

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def start_server() -> None:
    """Start the fork server. It ignores the signals that a terminal or Slurm sends to all processes; this one acts."""
    CONTEXT.set_forkserver_preload(worker.PRELOAD)
    numbers = (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        forkserver.ensure_running()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def checked(grid: Grid) -> tuple[list[Planned], list[int]]:
    """Start the server, and let it check every cell.

    Returns:
        The cells, and the bytes of memory of each GPU of this machine.

    Raises:
        InputError: A cell is wrong.
    """
    start_server()
    return answer_of(worker.check_grid, grid)


def answer_of(target: Callable, *args: Any) -> Any:
    """Call `target(*args, sender)` in a process forked from the server; returns what it sends, or raises its error.

    Raises:
        InputError: The function sends one.
        Failure: The process died.
    """
    answer, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=target, args=(*args, sender))  # no daemon: loaders of data may have workers
    process.start()
    sender.close()
    try:
        found = answer.recv()
    except EOFError:
        raise Failure(
            f"the process that was to {target.__name__.replace('_', ' ')} died (too little memory, most often); "
            "it says above why; mend that, and run the same command again"
        ) from None
    except BaseException:  # Ctrl-C: Python waits for its processes at its end
        process.kill()
        raise
    process.join()
    if isinstance(found, InputError):
        raise found
    return found


def _lives(pid: int) -> bool:
    """Whether there is such a process, and it has not ended; a child of a dead parent may have nobody to reap it."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    with suppress(OSError):
        return b" Z " not in Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2][:4]
    return True


def cores() -> tuple[int, ...]:
    """The cores that this process may use."""
    with suppress(AttributeError):  # where the system knows no affinity
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def threads() -> int | None:
    """The threads that each run is to have, as OMP_NUM_THREADS says; None where it is not set.

    Raises:
        InputError: It is no number, or too large.
    """
    said = os.environ.get("OMP_NUM_THREADS")
    if said and not re.fullmatch(r"[1-9]\d{0,3}", said):
        raise InputError(f"OMP_NUM_THREADS is {shown(said)}: write a whole number from 1 to 9999, or unset it")
    return int(said) if said else None
