"""The Slurm launcher: job arrays, which go on without the process that submits them."""

from argparse import Action, Namespace, _ArgumentGroup
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lit_resnet.grid import cluster
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import Grid, find, shipped
from lit_resnet.grid.status import Queued
from lit_resnet.launch import jobs
from lit_resnet.launch.launcher import Accompany, Outcome
from lit_resnet.listing import plainly, spinner


class Slurm:
    """Submits the runs; each job trains some of them by `lit-resnet run`."""

    def options(self, group: _ArgumentGroup) -> list[Action]:
        """Add the options for the cluster's settings, and for whether to wait."""
        return [
            group.add_argument(
                "--cluster",
                metavar="CLUSTER",
                help="partition, account, time, ...: a path or shipped name (default: the grid's)",
            ),
            group.add_argument(
                "--dry-run", action="store_true", help="print the scripts and their runs, submit nothing"
            ),
            group.add_argument("--wait", action="store_true", help="follow the jobs to their end, then report"),
        ]

    def launch(self, asked: Asked, grid: Grid, options: Namespace, accompany: Accompany) -> Outcome | None:
        """Submit the missing runs, as `Launcher` says, and print the ids of the arrays to stdout.

        `accompany` is not used: each job accompanies its runs itself.
        """
        from lit_resnet.launch.arrays import Submission

        wanted = asked.grid.cluster
        if options.cluster:
            wanted = cluster.read(find(options.cluster, shipped() / "clusters", "cluster file"))
        submission, console = Submission(asked, grid, wanted), Console(stderr=True)
        with spinner("loading torch and lightning, checking every cell"):
            if options.dry_run:
                print(submission.dry_run(), end="")
                return None
            for number in submission.submit(say=plainly(console)):
                print(number)
        if options.wait:
            return self._wait(asked.root, grid)
        plainly(console)(
            f"watch:  {asked.command('status')} --watch\n"
            f"stop:   {asked.command('cancel')}\n"
            f"tables: the last job writes them; now, of what is finished: {asked.command('report')}"
        )
        return None

    def queue(self, root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
        """The runs in Slurm's queue, as `Launcher` says."""
        return jobs.queue(root, grids)

    def cancel(self, ids: list[str]) -> None:
        """Cancel jobs with scancel."""
        jobs.scancel(ids)

    def _wait(self, root: Path, grid: Grid) -> Outcome:
        from lit_resnet.launch.watch import watch

        folders = {cell.folder for cell in grid.cells}
        outcome = Outcome()
        for row in watch(root, grid, over=lambda: not folders & jobs.queue_of(grid.name, root).keys()):
            name = f"{row['cell']}-seed{row['seed']}"
            if row["state"] == "failed":
                outcome.failed.append(name)
            elif row["state"] != "done":  # cancelled; or lost by Slurm, or taken out of its queue
                outcome.cancelled.append(name)
        return outcome
