"""Job arrays for Slurm with the missing runs of a grid, in files that people can read.

    <root>/<grid>/slurm/<when>/
      job.sh      the script for sbatch
      cells.txt   line i: the runs of the array's task i - 1, by the names of their folders
      <i>.txt     the output of task i; each run has a log of its own in its folder

Each task starts `srun python -m lit_resnet run GRID CELL...`. The run folders hold all that a launch needs to continue,
and squeue lists the queued and the running jobs. So neither accounting (sacct) nor a state of the launcher is needed.
"""

import getpass
import math
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from lit_resnet.errors import InputError
from lit_resnet.files import write_whole
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.cluster import Cluster
from lit_resnet.grid.grid import Grid
from lit_resnet.grid.status import Queued
from lit_resnet.launch import pool, reuse
from lit_resnet.launch.folders import begin, check_folders
from lit_resnet.launch.jobs import MOST_TASKS, headers, job_name, most_tasks, pattern, queue_of, release, sbatch
from lit_resnet.launch.planned import Planned, expected, measured
from lit_resnet.runfolder import provenance
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lock import InUse, Lock
from lit_resnet.sameness import digest

WARNING_SECONDS = 120  # before a job's time is over: enough to end an iteration and to save
MARGIN = 1.5  # a job asks for the expected time of its runs, times this
OTHERS_SECONDS = 120.0  # to wait for another launch that is submitting the same grid
START_HOURS = 0.25  # for imports, and for images that are read or decoded first
HOURS = (0.5, 1, 2, 4, 8, 12, 24, 48, 72)  # jobs ask for one of these: few different times make few arrays


@dataclass(frozen=True)
class Batch:
    """One job array, whose tasks need the same resources. A task is a list of runs, by the names of their folders.

    At most `at_a_time` tasks run together, its share of the `parallel` of the cluster; None for all.
    """

    tasks: list[list[str]]
    num_nodes: int
    devices: int
    gpu: bool
    hours: float | None
    at_a_time: int | None


class Submission:
    """The missing runs of a grid that are not in the queue yet, as job arrays.

    Args:
        asked: The whole grid, for the jobs to find it.
        grid: The cells to submit.
        cluster: Settings of the jobs.
    """

    def __init__(self, asked: Asked, grid: Grid, cluster: Cluster) -> None:
        self.asked, self.grid, self.root, self.cluster = asked, grid, asked.root, cluster
        self.folder = asked.home / "slurm"

    def submit(self, say: Callable[[str], None]) -> list[str]:
        """Check all cells, then submit the missing ones; `say` takes a line about each step.

        Returns:
            The ids of the submitted arrays.

        Raises:
            InputError: A cell is wrong, the root cannot be written, this machine has no Slurm, or Slurm refuses.
        """
        if not shutil.which("sbatch"):
            raise InputError(
                "--on slurm: no sbatch on this machine; use a login node of the cluster, or leave out --on"
            )
        planned = self._check()
        begin(self.grid, self.root)
        self.folder.mkdir(exist_ok=True)
        with ExitStack() as alone:
            try:
                alone.enter_context(Lock(self.folder / ".lock").held(timeout=OTHERS_SECONDS))
            except InUse:
                raise InputError(f"{self.folder}: another launch is submitting this grid; wait for it") from None
            return self._submit_missing(planned, say)

    def _submit_missing(self, planned: list[Planned], say: Callable[[str], None]) -> list[str]:
        jobs = queue_of(self.grid.name, self.root)
        self._check_queued(jobs)
        if held := sorted({job.id for job in jobs.values() if "launch failed" in job.note}):
            release(held)  # Slurm holds back a job that a failing node could not start, and never releases it itself
            say(f"released: {', '.join(held)}, which a node had failed to start")
        for words in reuse.adopt(self.grid, self.root):
            say(words)
        if again := self._with_new_code(jobs):
            say(f"queued with the code as it is now: {', '.join(again)}")
        missing = self._missing(planned, jobs)
        done = sum(bool(self._run(p).summary()) for p in planned)
        say(f"{done} of {len(planned)} done, {len(planned) - len(missing) - done} under way, {len(missing)} to submit")
        return [self._submit(batch, say) for batch in self.batches(planned, missing, most_tasks())]

    def dry_run(self) -> str:
        """The scripts that a launch would submit now, each after the runs of its tasks; touches nothing.

        Raises:
            InputError: A cell is wrong, or a run folder is damaged.
        """
        planned, parts = self._check(), []
        try:
            jobs, most = queue_of(self.grid.name, self.root), most_tasks()
        except InputError as error:  # a machine without a cluster can show the scripts all the same
            jobs, most = {}, MOST_TASKS
            parts.append(f"# as if nothing were queued: {error}\n")
        self._check_queued(jobs)
        for batch in self.batches(planned, self._missing(planned, jobs), most):
            cells = "".join(f"# {i}: {' '.join(task)}\n" for i, task in enumerate(batch.tasks))
            parts.append(f"# tasks and their runs (cells.txt)\n{cells}\n{self.script(batch, self.folder / 'WHEN')}")
        return "\n".join(parts)

    def _check(self) -> list[Planned]:
        check_folders(self.grid, self.root)
        return pool.checked(self.grid)[0]

    def _missing(self, planned: list[Planned], jobs: dict[str, Queued]) -> list[Planned]:
        """Cells that are neither done, nor in the queue, nor trained by another launcher."""
        return [
            p for p in planned if p.cell.folder not in jobs and not (run := self._run(p)).summary() and not run.in_use()
        ]

    def _run(self, planned: Planned) -> RunFolder:
        return self.asked.folder(planned.cell)

    def _check_queued(self, jobs: dict[str, Queued]) -> None:
        """Refuse to launch beside jobs of the same cells with other values.

        Raises:
            InputError: The first key that differs.
        """
        for cell in self.grid.cells:
            run = self.asked.folder(cell)
            if cell.folder in jobs and (key := status.differs(self.grid, cell, run)):
                raise InputError(
                    f"{run.path}: is queued (job {jobs[cell.folder].id}) with another {key} than {self.grid.name} says "
                    "now; lit-resnet cancel it first, or write the grid as it was"
                )

    def _with_new_code(self, jobs: dict[str, Queued]) -> list[str]:
        """Let the runs that wait in the queue take the code as it is now, and return their names."""
        waiting = [cell for cell in self.grid.cells if (job := jobs.get(cell.folder)) and not job.started]
        stale = [cell for cell in waiting if self.asked.folder(cell).status().code not in (None, provenance.code())]
        for cell in stale:
            self._queue(cell)
        return [cell.folder for cell in stale]

    def batches(self, planned: list[Planned], missing: list[Planned], most: int) -> list[Batch]:
        """The missing cells as arrays, grouped by the resources that they need, the longest first; some share tasks.

        An array has at most `most` tasks.
        """
        summaries = [self._run(p).summary() for p in planned]
        # Without a finished run nothing is expected: another machine will train, so that timing here says nothing.
        points = measured(planned, summaries)
        seconds = expected(points) if points else None
        by_needs: dict[tuple[int, int, bool], list[Planned]] = {}
        for p in sorted(missing, key=lambda p: p.training_macs, reverse=True):
            by_needs.setdefault((p.num_nodes, p.devices, p.gpu), []).append(p)
        tasks: dict[tuple, list[list[str]]] = {}
        for needs, runs in by_needs.items():
            size = self.cluster.runs_per_job if needs[:2] == (1, 1) else 1
            for start in range(0, len(runs), size):
                task = runs[start : start + size]
                took = [seconds(p) * p.max_steps / 3600 for p in task] if seconds else None
                tasks.setdefault((*needs, self._hours(took)), []).append([p.cell.folder for p in task])
        arrays = [
            (found[start : start + most], needs)
            for needs, found in tasks.items()
            for start in range(0, len(found), most)
        ]
        parallel, total = self.cluster.parallel, sum(map(len, tasks.values()))
        return [
            Batch(part, *needs, at_a_time=parallel and max(1, parallel * len(part) // total)) for part, needs in arrays
        ]

    def _hours(self, took: list[float] | None) -> float | None:
        """The hours that a task asks for: what its runs should take, with a margin; at most `hours` of the cluster."""
        most = self.cluster.hours
        if took is None or most is None:
            return most
        wanted = START_HOURS + MARGIN * max(sum(took) / self.cluster.runs_per_gpu, *took)
        return min([most, *(hours for hours in HOURS if hours >= wanted)])

    def script(self, batch: Batch, folder: Path) -> str:
        """The script of one array, for sbatch."""
        cluster = self.cluster
        minutes = math.ceil(batch.hours * 60) if batch.hours else None
        own = {
            "job-name": job_name(self.grid.name),
            "array": f"0-{len(batch.tasks) - 1}" + (f"%{batch.at_a_time}" if batch.at_a_time else ""),
            "output": f'"{pattern(folder)}/%a.txt"',
            "open-mode": "append",
            "requeue": "",
            "signal": f"USR1@{WARNING_SECONDS}",
            "time": f"{minutes // 60}:{minutes % 60:02d}:00" if minutes else None,
            "nodes": batch.num_nodes,
            "ntasks-per-node": batch.devices,
        }
        side_by_side = ["--runs-per-gpu", str(cluster.runs_per_gpu)] if cluster.runs_per_gpu > 1 else []
        name, *said = self.asked.absolute().words()
        start = shlex.join([cluster.python or sys.executable, "-m", "lit_resnet", "run", name])
        command = f"{start} $cells {shlex.join([*said, *side_by_side, '--as-queued'])}"
        lines = [
            "#!/bin/bash",
            *headers(cluster, own, batch.devices if batch.gpu else 0),
            "",
            f"# {self.grid.title}",
            f"# Submitted by {getpass.getuser()} with lit-resnet launch, {time.strftime('%Y-%m-%d %H:%M')}.",
            f"cd {shlex.quote(str(Path.cwd()))} || exit",
            "trap : TERM  # the runs save and end first",
            *cluster.setup,
            f'cells=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {shlex.quote(str(folder.resolve() / "cells.txt"))})',
            # Since Slurm 22.05 srun does not take over what the script has asked for.
            f"srun --cpus-per-task={cluster.cpus} --kill-on-bad-exit=1 {command}",
            "code=$?",
            "# 0: done. 1, 2: failed for good. 143: terminated (scancel, or Slurm gives another turn by itself).",
            "# All else, such as 75 (saved, the time is over) or 137 (killed): another turn, from the last checkpoint.",
            "case $code in 0 | 1 | 2 | 143) exit $code ;; esac",
            'scontrol requeue "$SLURM_JOB_ID" || echo "not requeued: the next lit-resnet launch continues these runs"',
        ]
        return "\n".join(lines) + "\n"

    def _submit(self, batch: Batch, say: Callable[[str], None]) -> str:
        """Write the files of an array and submit it; returns its id. Where sbatch refuses, the files are removed."""
        cells = {cell.folder: cell for cell in self.grid.cells}
        for task in batch.tasks:
            for name in task:
                self._queue(cells[name])
        folder = self.folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        write_whole(folder / "cells.txt", "".join(" ".join(task) + "\n" for task in batch.tasks))
        write_whole(folder / "job.sh", self.script(batch, folder))
        try:
            job = sbatch(folder / "job.sh")
        except InputError:
            shutil.rmtree(folder)
            raise
        say(f"job {job}: {sum(map(len, batch.tasks))} runs in {len(batch.tasks)} tasks ({folder / 'job.sh'})")
        return job

    def _queue(self, cell: Cell) -> None:
        """Write the config of a run for its job, and queue it; a run that had failed gets a new chance."""
        run, config = self.asked.folder(cell), self.grid.config(cell)
        with run.locked(timeout=5):
            write_whole(run.cell_file, yaml.safe_dump(config, sort_keys=False))
            state = run.status()
            state.state, state.deaths, state.digest = "queued", 0, digest(config)
            state.error, state.code = None, provenance.code()
            run.write_status(state)
