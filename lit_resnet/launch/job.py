"""The job that a scheduler starts: some runs of a grid in child processes, or one rank of a run of several devices.

Slurm warns a job (SIGUSR1) before its time is over or another job takes its place: the runs save, and the job asks for
another turn. At SIGTERM they save, and the scheduler decides whether there is another turn.
"""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lit_resnet.errors import InputError
from lit_resnet.files import read_yaml
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.launch import pool, reuse, worker
from lit_resnet.launch.exits import Exit
from lit_resnet.launch.finish import judge_ensembles
from lit_resnet.launch.folders import begin, check_folders
from lit_resnet.launch.launcher import Accompany
from lit_resnet.launch.planned import check_one_device
from lit_resnet.launch.pool import Place, Pool, Run
from lit_resnet.launch.watch import ENDED
from lit_resnet.listing import plainly
from lit_resnet.runfolder import provenance
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lock import InUse

# How a job ends after a signal has stopped it.
BY_SIGNAL: dict[int, Exit] = {
    signal.SIGUSR1: Exit.STOPPED,
    signal.SIGTERM: Exit.TERMINATED,
    signal.SIGINT: Exit.INTERRUPTED,
}
CHANGED = "code changed since it was queued: launch again to queue it with the new code"


@dataclass(frozen=True)
class Job:
    """Some runs of a grid.

    Args:
        asked: The grid.
        accompany: Accompanies the runs.
        report: Writes the grid's report and returns its page; called if these were the grid's last runs.
    """

    asked: Asked
    accompany: Accompany
    report: Callable[[Asked], Path]

    def run(self, names: list[str], side_by_side: int, as_queued: bool) -> Exit:
        """Train some runs.

        Args:
            names: Cells, with all their seeds, or run folders.
            side_by_side: How many of them at a time.
            as_queued: Whether a launch has queued them: then each has the config that it was queued with, whatever the
                grid file says now, runs that have failed since or were cancelled are left alone, and none is trained by
                other code.

        Raises:
            InputError: A name, a config or OMP_NUM_THREADS is wrong, a run folder is damaged, or the code has changed
                since.
        """
        tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))  # of srun; SLURM_NTASKS is also that of a script
        rank = tasks > 1
        threads = _threads(1 if rank else side_by_side)
        gpus: list[int] = []
        if as_queued:  # without the grid file, which may have been changed or removed since
            runs = [_queued(RunFolder(self.asked.home / name)) for name in names]
            _check_code(runs)
        else:
            grid = self.asked.grid.part(names)
            check_folders(grid, self.asked.root)
            if not rank:
                planned, gpus = pool.checked(grid)
                check_one_device(grid, planned)
            begin(grid, self.asked.root)
            reuse.adopt(grid, self.asked.root)
            runs = [Run(self.asked.folder(cell), grid.config(cell)) for cell in grid.cells]
        if not rank:
            return self._children(runs, [_place(threads, bool(gpus))] * side_by_side, as_queued)
        if len(runs) > 1:
            raise InputError(f"{len(runs)} runs for {tasks} processes of one: name one run")
        return self._rank(runs[0], threads, as_queued)

    def _children(self, runs: list[Run], places: list[Place], as_queued: bool) -> Exit:
        """Train runs of one device each, in processes of their own."""
        console = Console(width=160)
        came: list[int] = []
        # A run that has failed is not retried when Slurm requeues its job; the next launch retries it.
        left = [run for run in runs if not (as_queued and run.folder.status().state == "failed")]
        work = Pool(left, places, None, console)

        def stop(number: int, _: object) -> None:
            again = number == signal.SIGINT and signal.SIGINT in came  # a second Ctrl-C ends them at once
            came.append(number)
            if not work.stopping or again:
                work.stop()

        for number in BY_SIGNAL:
            signal.signal(number, stop)
        pool.start_server()
        todo = [run.name for run in left if not run.folder.summary()]
        with self.accompany(self.asked, todo, plainly(console)) as companion:
            outcome = work.work(lambda: None)
            if outcome.stopped:
                companion.hurry()
        if outcome.stopped:
            return Exit.STOPPED if signal.SIGUSR1 in came else BY_SIGNAL[came[0]] if came else Exit.TERMINATED
        self._finish(console)
        return Exit.FAILED if outcome.failed or len(left) < len(runs) else Exit.DONE

    def _rank(self, run: Run, threads: int, as_queued: bool) -> Exit:
        """Train as one of the processes that train a run together."""
        folder = run.folder
        failed = as_queued and folder.status().state == "failed"
        if failed or folder.summary() or folder.cancelled:
            return Exit.FAILED if failed else Exit.DONE
        rank = os.environ["SLURM_PROCID"]
        with ExitStack() as held:
            if rank == "0":
                companion = held.enter_context(self.accompany(self.asked, [run.name], print))
            code, by = worker.train(run.config, folder.path, threads, f"rank {rank}")
            if rank == "0" and code == Exit.STOPPED:
                companion.hurry()
        if code == Exit.STOPPED and not folder.cancelled:
            return Exit.TERMINATED if by is None else BY_SIGNAL.get(by, Exit.TERMINATED)
        if code == Exit.DONE and rank == "0":
            self._finish(Console(width=160))
        return Exit.DONE if code == Exit.STOPPED else code

    def _finish(self, console: Console) -> None:
        """Judge the ensembles and write the report of the grid, if these were its last runs."""
        say = plainly(console)
        try:
            if any(row["state"] not in ENDED for row in status.rows(self.asked.grid, self.asked.root)):
                return
            judge_ensembles(self.asked, say)
            say(f"the report: {self.report(self.asked)}")
        except InputError as error:  # such as a grid file that was changed since: the runs matter more
            say(f"no report: {error}")


def _queued(folder: RunFolder) -> Run:
    """A run as a launch has queued it.

    Raises:
        InputError: No launch has queued it.
    """
    if not folder.cell_file.is_file():
        raise InputError(f"{folder.path}: no launch has queued this run; leave out --as-queued")
    return Run(folder, read_yaml(folder.cell_file))


def _check_code(runs: list[Run]) -> None:
    """Refuse to train queued runs by other code than a launch has seen; their status says why they have failed.

    Raises:
        InputError: The package's modules have changed.
    """
    stale = [run for run in runs if not run.folder.summary() and not run.folder.cancelled and _is_stale(run)]
    for run in stale:
        with suppress(InUse), run.folder.locked():
            status = run.folder.status()
            status.state, status.error = "failed", CHANGED
            run.folder.write_status(status)
    if stale:
        raise InputError(f"{', '.join(run.name for run in stale)}: {CHANGED}")


def _is_stale(run: Run) -> bool:
    status = run.folder.status()
    return status.state != "failed" and status.code not in (None, provenance.code())


def _threads(side_by_side: int) -> int:
    """Threads of each of so many runs: its share of the cores that Slurm has given; elsewhere OMP_NUM_THREADS, or one.

    Raises:
        InputError: OMP_NUM_THREADS is wrong.
    """
    given = os.environ.get("SLURM_CPUS_PER_TASK")
    return max(1, int(given) // side_by_side) if given else pool.threads() or 1


def _place(threads: int, gpu: bool) -> Place:
    """A place on the job's GPU or cores. Nothing is pinned here: the scheduler, which knows other jobs, does that."""
    return Place(threads, None, 0 if gpu or os.environ.get("CUDA_VISIBLE_DEVICES") else None)
