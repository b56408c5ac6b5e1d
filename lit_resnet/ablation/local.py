"""The local launcher: the missing runs of a grid, several at a time on this machine.

A fork server imports torch and lightning once (15 s of CPU); each run is a process forked from it, so that it starts at
once and cannot hurt the others. This process needs neither of them: it only watches the run folders.
"""

import multiprocessing
import os
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.console import Console
from rich.live import Live

from lit_resnet.ablation import status, worker
from lit_resnet.ablation.grid import Grid
from lit_resnet.ablation.plan import Planned
from lit_resnet.errors import InputError
from lit_resnet.listing import duration, percent
from lit_resnet.runfolder import RunFolder

LOOK_SECONDS = 0.3  # between two looks at the run folders
TAIL_LINES = 12

CONTEXT = multiprocessing.get_context("forkserver")


@dataclass
class Outcome:
    """What became of a launch."""

    failed: list[Planned] = field(default_factory=list)
    stopped: bool = False


@dataclass
class Running:
    """A cell, its process, and the GPU that it has to itself."""

    planned: Planned
    process: BaseProcess
    gpu: int | None


class Launcher:
    """Runs what is missing of `grid`, `jobs` at a time; None: one for each GPU, or for each core without a GPU."""

    def __init__(self, grid: Grid, root: Path, jobs: int | None) -> None:
        self.grid, self.root, self.jobs = grid, root, jobs
        self.console = Console(stderr=True)
        self.running: list[Running] = []
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
        CONTEXT.set_forkserver_preload(worker.PRELOAD)
        with self.console.status("loading torch and lightning, checking every cell"):
            planned, gpus = self._check()
        # The longest first, so that none is left alone at the end.
        todo = sorted(
            (p for p in planned if not self._folder(p).summary()), key=lambda p: p.training_macs, reverse=True
        )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        jobs = max(1, min(self.jobs or gpus or cores, len(todo)))
        # Two runs with all threads each would crawl at a sixth of their speed.
        self.threads = max(1, cores // jobs)
        self.free_gpus: list[int | None] = [i % gpus if gpus else None for i in range(jobs)]
        self._say(f"{len(planned) - len(todo)} of {len(planned)} done; running the rest, {jobs} at a time")
        try:
            with Live(console=self.console, auto_refresh=False, transient=True) as live:
                while todo or self.running:
                    self._start(todo)
                    wait([r.process.sentinel for r in self.running], timeout=LOOK_SECONDS)
                    self._reap(todo)
                    if self.console.is_terminal:
                        live.update(self._table(), refresh=True)
        except KeyboardInterrupt:
            self.outcome.stopped = True
            self._stop()
        return self.outcome

    def _folder(self, planned: Planned) -> RunFolder:
        return status.folder(self.grid, planned.cell, self.root)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def _check(self) -> tuple[list[Planned], int]:
        answer, sender = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=worker.check_grid, args=(self.grid, sender))
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
            if not self.free_gpus:
                return
            folder = self._folder(planned)
            if folder.in_use():
                continue
            todo.remove(planned)
            if folder.summary():  # another launcher has finished it
                continue
            gpu = self.free_gpus.pop(0)
            process = CONTEXT.Process(
                target=worker.run, args=(self.grid.config(planned.cell), folder.path, self.threads, gpu)
            )
            process.start()
            self.running.append(Running(planned, process, gpu))

    def _reap(self, todo: list[Planned]) -> None:
        """Take note of the runs that have ended."""
        for run in [r for r in self.running if r.process.exitcode is not None]:
            self.running.remove(run)
            self.free_gpus.append(run.gpu)
            folder, code = self._folder(run.planned), run.process.exitcode
            if code == worker.IN_USE:
                todo.append(run.planned)
            elif code == worker.DONE:
                found = folder.summary() or {}
                self._say(
                    f"{run.planned.cell.folder}: done in {duration(found['wall_seconds'])}, train error "
                    f"{percent(found['train_error'])} %, test error {percent(found['test_error'])} %"
                )
            elif code == worker.STOPPED:
                self._say(f"{run.planned.cell.folder}: stopped by a signal; the next launch continues it")
                self.outcome.stopped = True
            else:
                self._failed(run.planned, folder, code)

    def _failed(self, planned: Planned, folder: RunFolder, code: int) -> None:
        """Record a failure (a killed run could not do so itself) and show the end of its log."""
        self.outcome.failed.append(planned)
        state = folder.status()
        if state.state != "failed":
            state.state = "failed"
            state.error = f"killed by signal {-code}" if code < 0 else f"exit code {code} before training began"
            folder.write_status(state)
        self._say(f"[red]{planned.cell.folder}: failed:[/red] {state.error}")
        lines = folder.log_file.read_text(errors="replace").splitlines() if folder.log_file.exists() else []
        for line in lines[-TAIL_LINES:]:
            self.console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
        self._say(f"    (the whole log: {folder.log_file})")

    def _stop(self) -> None:
        """Let every run save where it is; a second Ctrl-C ends them at once, back to their last checkpoints."""
        self._say("stopping: every run saves where it is (Ctrl-C again: at once)")
        try:
            for run in self.running:
                run.process.terminate()
            for run in self.running:
                run.process.join()
        except KeyboardInterrupt:
            for run in self.running:
                run.process.kill()

    def _table(self) -> status.Table:
        rows = status.rows(self.grid, self.root)
        return status.live_table(self.grid.name, rows)
