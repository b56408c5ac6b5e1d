"""The local launcher: the missing runs of a grid on this machine, several at a time."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid
from lit_resnet.launch import pool, reuse, worker
from lit_resnet.launch.finish import judge_ensembles
from lit_resnet.launch.follower import HURRY, mirrored
from lit_resnet.launch.plan import Planned
from lit_resnet.launch.pool import Outcome, Place, Pool, Run
from lit_resnet.listing import Row, duration
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import metrics

LINE_SECONDS = 60  # between two lines of progress where there is no terminal


class Launcher:
    """Runs what is missing of `grid`.

    Args:
        grid: The grid.
        path: Its file or shipped name, and
        settings: the `KEY=VALUE` that it was loaded with, for the process that tells W&B of it.
        root: Where its run folders are.
        jobs: Runs at a time, at most; None: as many as there are places on the GPUs, or cores if there is no GPU.
        jobs_per_gpu: Runs at a time on one GPU, as far as its memory is known to suffice.
    """

    def __init__(
        self, grid: Grid, path: str, settings: list[str], root: Path, jobs: int | None, jobs_per_gpu: int | None
    ) -> None:
        self.grid, self.path, self.settings, self.root = grid, path, settings, root
        self.jobs, self.jobs_per_gpu = jobs, jobs_per_gpu
        self.console = Console(stderr=True)
        self.shown = time.monotonic()

    def launch(self) -> Outcome:
        """Check all cells, then run those that are not done; a live table shows how far they are.

        Raises:
            InputError: A cell's config is wrong, or a run folder is damaged; nothing was started.
        """
        check_folders(self.grid, self.root)
        pool.start_server()
        with self.console.status("loading torch and lightning, checking every cell"):
            planned, gpus = pool.answer_of(worker.check_grid, self.grid)
        if several := next((p for p in planned if p.devices * p.num_nodes > 1), None):
            raise InputError(
                f"{self.grid.name}, cell {several.cell.name}: asks for {several.devices * several.num_nodes} devices, "
                "which a launch on this machine does not give: launch it --on slurm, or train it with lit-resnet fit"
            )
        if self.jobs_per_gpu and not gpus:
            raise InputError("--jobs-per-gpu: there is no GPU here; leave it out, or write --jobs")
        begin(self.grid, self.root)
        for words in reuse.adopt(self.grid, self.root):
            self._say(words)
        rows = status.rows(self.grid, self.root)
        memory = dict(zip([cell.folder for cell in self.grid.cells], status.known_memory(rows), strict=True))
        todo = [p for p in planned if not self._folder(p).summary()]
        todo.sort(key=lambda p: p.training_macs, reverse=True)  # the longest first: none is left alone at the end
        runs = [Run(self._folder(p), self.grid.config(p.cell), memory[p.cell.folder]) for p in todo]
        places = self._places(len(planned), len(gpus))
        work = Pool(runs, places, min(gpus, default=_memory()), self.console)
        self._say(f"{len(planned) - len(todo)} of {len(planned)} done; running the rest, {len(places)} at a time")
        self.clock = _Clock(todo, rows)
        with mirrored(self.path, self.root, self.settings, self._say, [run.name for run in runs]) as beside:
            with Live(console=self.console, auto_refresh=False, transient=True) as live, _stopping(work, self._say):
                outcome = work.work(lambda: self._show(live))
            if outcome.stopped:
                beside.patience = HURRY
            elif not outcome.cancelled:
                outcome.failed += judge_ensembles(self.grid, self.root, self._say)
        return outcome

    def _places(self, runs: int, gpus: int) -> list[Place]:
        """Places for so many runs at most, with the cores shared out among them.

        Two runs with all threads each would crawl at a sixth of their speed. The places are the same whatever is left
        to do: sums of floats depend on threads, and a grid that was interrupted is to end like one that was not.
        """
        cores = pool.cores()
        jobs = min(self.jobs or len(cores), runs)
        if gpus:
            there = gpus * (self.jobs_per_gpu or 1)
            jobs = min(self.jobs or there, there, runs)
        threads = max(1, len(cores) // jobs)
        return [
            Place(
                threads,
                tuple(cores[(i * threads + j) % len(cores)] for j in range(threads)),
                i % gpus if gpus else None,
            )
            for i in range(jobs)
        ]

    def _folder(self, planned: Planned) -> RunFolder:
        return status.folder(self.grid, planned.cell, self.root)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

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


def check_folders(grid: Grid, root: Path) -> None:
    """Tell of damaged files, and of runs with another config, before anything starts.

    Raises:
        InputError: The first one.
    """
    for cell in grid.cells:
        folder = status.folder(grid, cell, root)
        folder.status(), folder.summary(), metrics(grid.task).read(folder.path)
        status.check_config(grid, cell, folder)


def begin(grid: Grid, root: Path) -> None:
    """Make the grid's folder, and take back what an earlier `cancel` asked of its runs.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        (root / grid.name).mkdir(parents=True, exist_ok=True)
        for cell in grid.cells:
            status.folder(grid, cell, root).allow()
    except OSError as error:
        raise InputError(f"--root {root}: cannot be written ({error.strerror}); give another one") from None
    if not os.access(root / grid.name, os.W_OK | os.X_OK):
        raise InputError(f"--root {root}: {root / grid.name} cannot be written; give another one")


@contextmanager
def _stopping(work: Pool, say: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, Ctrl-C and SIGTERM mean that every run is to save where it is; a second one, to end at once."""

    def stop(*_: object) -> None:
        if work.running and not work.stopping:
            say("stopping: every run saves where it is (Ctrl-C again: at once)")
        work.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


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
