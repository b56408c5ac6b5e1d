"""The local launcher: the missing runs of a grid, several at a time on this machine.

A fork server imports torch and lightning once (15 s of CPU); each run is a process forked from it, so that it starts at
once and cannot hurt the others. This process needs neither of them: it only watches the run folders.
"""

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from lit_resnet.ablation import ensembles, reuse, status, worker
from lit_resnet.ablation.grid import Grid
from lit_resnet.ablation.plan import Planned
from lit_resnet.errors import InputError
from lit_resnet.listing import Row, duration, percent
from lit_resnet.runfolder import RunFolder

LOOK_SECONDS = 0.3  # between two looks at the run folders
LINE_SECONDS = 60  # between two lines of progress where there is no terminal
TAIL_LINES = 12

CONTEXT = multiprocessing.get_context("forkserver")


@dataclass
class Outcome:
    """What became of a launch."""

    failed: list[str] = field(default_factory=list)  # runs and ensembles, by name
    stopped: bool = False


@dataclass(frozen=True)
class Place:
    """Where one run at a time is: its cores, and its GPU if there are any."""

    cores: tuple[int, ...]
    gpu: int | None


@dataclass
class Running:
    """A cell, its process and its place."""

    planned: Planned
    process: BaseProcess
    place: Place


class Launcher:
    """Runs what is missing of `grid`, `jobs` at a time; None: one for each GPU, or for each core without a GPU."""

    def __init__(self, grid: Grid, root: Path, jobs: int | None) -> None:
        self.grid, self.root, self.jobs = grid, root, jobs
        self.console = Console(stderr=True)
        self.running: list[Running] = []
        self.shown = time.monotonic()
        self.outcome = Outcome()

    def launch(self) -> Outcome:
        """Check all cells, then run those that are not done; a live table shows how far they are.

        Raises:
            InputError: A cell's config is wrong, or a run folder is damaged; nothing was started.
        """
        for cell in self.grid.cells:
            folder = status.folder(self.grid, cell, self.root)
            folder.status(), folder.summary(), folder.metrics()  # tell of damaged files before anything starts
            status.check_config(self.grid, cell, folder)
        self._start_server()
        with self.console.status("loading torch and lightning, checking every cell"):
            planned, gpus = self._check()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--root {self.root}: cannot be made ({error.strerror}); give another one") from None
        for words in reuse.adopt(self.grid, self.root):
            self._say(words)
        todo = [p for p in planned if not self._folder(p).summary()]
        todo.sort(key=lambda p: p.training_macs, reverse=True)  # the longest first: none is left alone at the end
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        jobs = max(1, min(self.jobs or gpus or len(cores), len(planned)))
        # Two runs with all threads each would crawl at a sixth of their speed. The same number whatever is left to
        # do: sums of floats depend on it, and a grid that was interrupted is to end like one that was not.
        threads = max(1, len(cores) // jobs)
        self.free = [
            Place(tuple(cores[(i * threads + j) % len(cores)] for j in range(threads)), i % gpus if gpus else None)
            for i in range(jobs)
        ]
        self._say(f"{len(planned) - len(todo)} of {len(planned)} done; running the rest, {jobs} at a time")
        self.clock = _Clock(todo, status.rows(self.grid, self.root))
        try:
            with Live(console=self.console, auto_refresh=False, transient=True) as live:
                while todo or self.running:
                    self._start(todo)
                    wait([r.process.sentinel for r in self.running], timeout=LOOK_SECONDS)
                    self._reap(todo)
                    self._show(live)
            if not self.outcome.stopped:
                self._judge_ensembles()
        except KeyboardInterrupt:
            self.outcome.stopped = True
        finally:
            self._stop()
        return self.outcome

    def _start_server(self) -> None:
        """Start the fork server with Ctrl-C ignored, which its runs inherit: to stop them is for the launcher."""
        CONTEXT.set_forkserver_preload(worker.PRELOAD)
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, handler)

    def _folder(self, planned: Planned) -> RunFolder:
        return status.folder(self.grid, planned.cell, self.root)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def _check(self) -> tuple[list[Planned], int]:
        answer, sender = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=worker.check_grid, args=(self.grid, sender), daemon=True)
        process.start()
        sender.close()
        try:
            found = answer.recv()
        except EOFError:
            raise RuntimeError("the process that checks the grid died; what it said is above") from None
        process.join()
        if isinstance(found, InputError):
            raise found
        return found

    def _start(self, todo: list[Planned]) -> None:
        """Fill the free places; a cell that another launcher is running stays in `todo` until that one lets go."""
        for planned in list(todo):
            if not self.free:
                return
            folder = self._folder(planned)
            if folder.in_use():
                continue
            todo.remove(planned)
            if folder.summary():  # another launcher has finished it
                continue
            place = self.free.pop(0)
            process = CONTEXT.Process(
                target=worker.run, args=(self.grid.config(planned.cell), folder.path, place.cores, place.gpu)
            )
            process.start()
            self.running.append(Running(planned, process, place))

    def _reap(self, todo: list[Planned]) -> None:
        """Take note of the runs that have ended."""
        for run in [r for r in self.running if r.process.exitcode is not None]:
            self.running.remove(run)
            self.free.append(run.place)
            folder, code = self._folder(run.planned), run.process.exitcode
            if code == worker.IN_USE:
                todo.append(run.planned)
            elif code == worker.DONE:
                found = folder.summary()
                self._say(
                    f"{run.planned.cell.folder}: {'diverged' if found.get('diverged') else 'done'} in "
                    f"{duration(found['wall_seconds'])}, train error {percent(found['train_error'])} %, test error "
                    f"{percent(found['test_error'])} %"
                )
            elif code == worker.STOPPED:
                self._say(f"{run.planned.cell.folder}: stopped by a signal; the next launch continues it")
                self.outcome.stopped = True
            else:
                self._failed(run.planned, folder, code)

    def _failed(self, planned: Planned, folder: RunFolder, code: int) -> None:
        """Record a failure, which a run that was killed could not do itself, and show the end of its log."""
        self.outcome.failed.append(planned.cell.folder)
        reason = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        try:
            with folder.locked():
                state = folder.status()
                if state.state != "failed":
                    state.state, state.error = "failed", reason
                    folder.write_status(state)
                reason = state.error
            lines = folder.log_file.read_text(errors="replace").splitlines() if folder.log_file.exists() else []
        except (OSError, InputError) as error:  # a full disk, say, which must not end the others
            lines = [f"its folder cannot be used: {error}"]
        self._say(f"[red]{planned.cell.folder}: failed:[/red] {escape(str(reason))}")
        for line in lines[-TAIL_LINES:]:
            self.console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
        self._say(f"    (the whole log: {folder.log_file})")

    def _judge_ensembles(self) -> None:
        """Those whose runs are all finished; from the scores that the runs have left, if they have."""
        wanted = ensembles.ready(self.grid, self.root)
        if not wanted:
            return
        names = ", ".join(ensemble.name for ensemble in wanted)
        self._say(f"judging the ensemble {names}")
        process = CONTEXT.Process(target=worker.judge_ensembles, args=(self.grid, wanted, self.root))
        process.start()
        try:
            process.join()
        finally:
            process.terminate()  # at Ctrl-C; what it has scored by then is kept
        if process.exitcode != worker.DONE:
            self.outcome.failed.append(f"the ensemble {names}")

    def _stop(self) -> None:
        """Let every run that is left save where it is; a second Ctrl-C ends them at once."""
        if not self.running:
            return
        self._say("stopping: every run saves where it is (Ctrl-C again: at once)")
        try:
            for run in self.running:
                run.process.terminate()
            for run in self.running:
                run.process.join()
        except KeyboardInterrupt:
            for run in self.running:
                run.process.kill()

    def _show(self, live: Live) -> None:
        """The live table; in a log file, a line a minute."""
        if not self.console.is_terminal and time.monotonic() - self.shown < LINE_SECONDS:
            return
        self.shown = time.monotonic()
        rows = status.rows(self.grid, self.root)
        title = f"{self.grid.name}: {status.overview(rows)}, about {duration(self.clock.seconds_left(rows))} left"
        if self.console.is_terminal:
            live.update(status.live_table(title, rows), refresh=True)
        else:
            self._say(title)


class _Clock:
    """Time left for a grid, from the arithmetic that its runs have done since the launch."""

    def __init__(self, todo: list[Planned], rows: list[Row]) -> None:
        self.todo = tuple(todo)
        self.started = time.monotonic()
        self.at_start = self._left(rows)

    def _left(self, rows: list[Row]) -> float:
        """Multiply-adds still to do, by the status of all cells."""
        steps = {(row["cell"], row["seed"]): row["step"] for row in rows}
        return sum(p.training_macs * (1 - steps[p.cell.name, p.cell.seed] / p.max_steps) for p in self.todo)

    def seconds_left(self, rows: list[Row]) -> float | None:
        """None until something was done."""
        left = self._left(rows)
        done = self.at_start - left
        return (time.monotonic() - self.started) * left / done if done > 0 else None
