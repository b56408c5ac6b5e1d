"""The local launcher: the missing runs of a grid on this machine, several at a time."""

import os
import signal
import time
from argparse import Action, Namespace, _ArgumentGroup
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import Grid
from lit_resnet.grid.status import Queued
from lit_resnet.launch import pool, reuse
from lit_resnet.launch.finish import judge_ensembles
from lit_resnet.launch.folders import begin, check_folders
from lit_resnet.launch.launcher import Accompany, Outcome
from lit_resnet.launch.planned import Planned, check_one_device
from lit_resnet.launch.pool import Place, Pool, Run
from lit_resnet.listing import Row, duration, plainly, redraws, spinner
from lit_resnet.runfolder.folder import RunFolder

LINE_SECONDS = 60  # between two lines of progress where there is no terminal


class Local:
    """Trains the runs in child processes, and stays until they have ended."""

    def options(self, group: _ArgumentGroup) -> list[Action]:
        """Add the options for how many runs train at a time."""
        return [
            group.add_argument(
                "--jobs",
                type=int,
                metavar="N",
                help="runs at a time (default: all GPUs, or cores); each has OMP_NUM_THREADS threads, or its share of "
                "the cores",
            ),
            group.add_argument("--jobs-per-gpu", type=int, metavar="N", help="runs at a time on one GPU (default: 1)"),
        ]

    def launch(self, asked: Asked, grid: Grid, options: Namespace, accompany: Accompany) -> Outcome:
        """Train the missing runs, as `Launcher` says."""
        for key in ("jobs", "jobs_per_gpu"):
            if (value := getattr(options, key)) is not None and value < 1:
                raise InputError(f"--{key.replace('_', '-')} is {value}: write 1 or more")
        return _Launch(asked, grid, options.jobs, options.jobs_per_gpu, accompany).work()

    def queue(self, root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
        """Empty: only the launch itself knows which runs wait here."""
        return {}

    def cancel(self, ids: list[str]) -> None:
        """Do nothing: a run here sees in its folder that it is asked to stop."""


class _Launch:
    """One launch of the missing runs of `grid`, with the arguments of `Launcher.launch`.

    Args:
        asked: The whole grid.
        grid: The cells to run.
        jobs: Runs at a time, at most; None: as many as there is room for on the GPUs, or on the cores.
        jobs_per_gpu: Runs at a time on one GPU, as far as its memory is known to suffice; None: 1.
        accompany: Accompanies the runs.

    Raises:
        InputError: OMP_NUM_THREADS is wrong.
    """

    def __init__(
        self, asked: Asked, grid: Grid, jobs: int | None, jobs_per_gpu: int | None, accompany: Accompany
    ) -> None:
        self.asked, self.grid, self.root, self.accompany = asked, grid, asked.root, accompany
        self.jobs, self.jobs_per_gpu, self.threads = jobs, jobs_per_gpu, pool.threads()
        self.console = Console(stderr=True)
        self.shown = time.monotonic()

    def work(self) -> Outcome:
        """Check all cells, then train those that are not done; a live table shows how far they are.

        Raises:
            InputError: A cell's config is wrong, or a run folder is damaged; nothing was started.
        """
        check_folders(self.grid, self.root)
        with spinner("loading torch and lightning, checking every cell"):
            planned, gpus = pool.checked(self.grid)
        check_one_device(self.grid, planned)
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
        at_a_time = f"; running the rest, {len(places)} at a time" if todo else ""
        self._say(f"{len(planned) - len(todo)} of {len(planned)} done{at_a_time}")
        self.clock = _Clock(todo, rows)
        with self.accompany(self.asked, [run.name for run in runs], self._say) as companion:
            with Live(console=self.console, auto_refresh=False, transient=True) as live, _stopping(work, self._say):
                outcome = work.work(lambda: self._show(live))
            if outcome.stopped:
                companion.hurry()
            elif not outcome.cancelled:
                outcome.failed += judge_ensembles(self.asked, self._say)
        return outcome

    def _places(self, runs: int, gpus: int) -> list[Place]:
        """Places for at most so many runs, with the cores shared out among them.

        Two runs with all threads each would train at a sixth of their speed. `runs` counts the done ones, too: sums of
        floats depend on the number of threads, and an interrupted grid must get the same numbers as one that was not.
        """
        cores = pool.cores()
        jobs = min(self.jobs or max(1, len(cores) // (self.threads or 1)), runs)
        if gpus:
            there = gpus * (self.jobs_per_gpu or 1)
            jobs = min(self.jobs or there, there, runs)
        share = max(1, len(cores) // jobs)
        threads = self.threads or share
        width = min(max(threads, share), len(cores))  # all its share: processes that read images have no other cores
        return [
            Place(
                threads,
                tuple(cores[(i * width + j) % len(cores)] for j in range(width)),
                i % gpus if gpus else None,
            )
            for i in range(jobs)
        ]

    def _folder(self, planned: Planned) -> RunFolder:
        return self.asked.folder(planned.cell)

    def _say(self, text: str) -> None:
        plainly(self.console)(text)

    def _show(self, live: Live) -> None:
        """Refresh the live table; in a log file, print a line a minute."""
        if not redraws(self.console) and time.monotonic() - self.shown < LINE_SECONDS:
            return
        self.shown = time.monotonic()
        try:
            rows = status.rows(self.grid, self.root)
        except (InputError, OSError):  # a file system that is away for a moment ends no launch; the end of a run tells
            return
        title = f"{self.grid.name}: {status.overview(rows)}, about {duration(self.clock.seconds_left(rows))} left"
        if redraws(self.console):
            live.update(status.live_table(title, rows, self.console.width), refresh=True)
        else:
            self._say(title)


@contextmanager
def _stopping(work: Pool, say: Callable[[str], None]) -> Iterator[None]:
    """Let every run save and end at Ctrl-C or SIGTERM while this lasts, and end at once at a second one."""

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
    """Estimates the time left for a grid from the arithmetic that its runs have done since the launch."""

    def __init__(self, todo: list[Planned], rows: list[Row]) -> None:
        self.todo = tuple(todo)
        self.started = time.monotonic()
        self.at_start = self._left(rows)

    def _left(self, rows: list[Row]) -> float:
        """Multiply-adds still to do, by the status of all cells."""
        steps = {(row["cell"], row["seed"]): row["step"] for row in rows}
        return sum(p.training_macs * (1 - steps[p.cell.name, p.cell.seed] / p.max_steps) for p in self.todo)

    def seconds_left(self, rows: list[Row]) -> float | None:
        """Seconds left; None until something was done."""
        left = self._left(rows)
        done = self.at_start - left
        return (time.monotonic() - self.started) * left / done if done > 0 else None
