"""What a task of a Slurm job runs: some cells of a grid, one after the other or side by side, or one rank of a cell.

    srun python -m lit_resnet.launch.job GRID --root DIR [--set KEY=VALUE] [--runs-per-gpu N] CELL...

CELL is the name of a run folder; what to train stands in its cell.yaml. Slurm's warning (SIGUSR1, before the time is
over or another job takes the place) means: save, and ask for another turn. SIGTERM means: save, and leave it to Slurm
whether there is another turn.
"""

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from lit_resnet.errors import InputError
from lit_resnet.files import read_yaml
from lit_resnet.grid import grid, status
from lit_resnet.launch import finish, pool, worker
from lit_resnet.launch.follower import HURRY, mirrored
from lit_resnet.launch.pool import Place, Pool, Run
from lit_resnet.runfolder.folder import RunFolder

# Exit codes for the job's script.
DONE, FAILED, AGAIN, TERMINATED = 0, 1, 75, 143


def main() -> int:
    """Returns an exit code: nothing left to do, a run has failed for good, another turn is needed, or terminated."""
    parser = argparse.ArgumentParser(prog="python -m lit_resnet.launch.job")
    parser.add_argument("grid")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--runs-per-gpu", type=int, default=1)
    parser.add_argument("cells", nargs="+")
    args = parser.parse_args()
    folders = [RunFolder(args.root / Path(args.grid).stem / cell) for cell in args.cells]
    if int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        return _rank(folders[0], args)
    return _runs(folders, args)


def _runs(folders: list[RunFolder], args: argparse.Namespace) -> int:
    """Cells of one device each, in processes of their own."""
    console = Console(width=160)
    again = False
    places = _places(args.runs_per_gpu)
    # One that died three times does not get better by being started anew; a launch does so.
    left = [folder for folder in folders if folder.status().state != "failed"]
    work = Pool([Run(folder, read_yaml(folder.cell_file)) for folder in left], places, None, console)

    def warned(*_: object) -> None:
        nonlocal again
        again = True
        if not work.stopping:
            work.stop()

    def terminated(*_: object) -> None:
        if not work.stopping:
            work.stop()

    signal.signal(signal.SIGUSR1, warned)
    signal.signal(signal.SIGTERM, terminated)
    pool.start_server()
    todo = [folder.path.name for folder in left if not folder.summary()]
    with mirrored(args.grid, args.root, args.set, console.print, todo) as beside:
        outcome = work.work(lambda: None)
        if outcome.stopped:
            beside.patience = HURRY
    if outcome.stopped:
        return AGAIN if again else TERMINATED
    _finish(args, console)
    return FAILED if outcome.failed or len(left) < len(folders) else DONE


def _places(side_by_side: int) -> list[Place]:
    """Places on the job's GPU, or on its cores; it is Slurm, which knows the neighbours, that keeps them there."""
    threads = max(1, int(os.environ.get("SLURM_CPUS_PER_TASK", 1)) // side_by_side)
    gpu = 0 if os.environ.get("CUDA_VISIBLE_DEVICES") else None
    return [Place(threads, None, gpu)] * side_by_side


def _rank(folder: RunFolder, args: argparse.Namespace) -> int:
    """One of the processes that train a cell together."""
    state = folder.status().state
    if folder.summary() or folder.cancelled or state == "failed":
        return FAILED if state == "failed" else DONE
    rank = os.environ["SLURM_PROCID"]
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", 1))
    with ExitStack() as held:
        if rank == "0":
            beside = held.enter_context(mirrored(args.grid, args.root, args.set, print, [folder.path.name]))
        code, by = worker.train(read_yaml(folder.cell_file), folder.path, threads, f"rank {rank}")
        if rank == "0" and code == worker.STOPPED:
            beside.patience = HURRY
    if code == worker.STOPPED and not folder.cancelled:
        return AGAIN if by == signal.SIGUSR1 else TERMINATED
    if code == worker.DONE and rank == "0":
        _finish(args, Console(width=160))
    return DONE if code == worker.STOPPED else code


def _finish(args: argparse.Namespace, console: Console) -> None:
    """If these were the last runs of the grid: its ensembles and its report."""
    try:
        whole = grid.load(args.grid, args.set)
        if any(row["state"] not in ("done", "failed", "cancelled") for row in status.rows(whole, args.root)):
            return
        finish.judge_ensembles(whole, args.root, console.print)
        from lit_resnet import report

        console.print(f"the report: {report.write(args.grid, args.root, args.set).page}", soft_wrap=True)
    except InputError as error:  # the grid file was changed since, say: the runs are what matters
        console.print(f"no report: {error}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"lit-resnet: {error}", file=sys.stderr)
        sys.exit(2)
