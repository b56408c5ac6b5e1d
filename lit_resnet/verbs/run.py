"""`lit-resnet run`: one run of a grid in the foreground, for any scheduler; the jobs of a Slurm launch use it, too."""

import argparse

from lit_resnet.errors import InputError
from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser)
    options.cells(parser, "+", "")
    parser.add_argument(
        "--runs-per-gpu", type=int, metavar="N", default=1, help="how many runs share a GPU at a time (default: 1)"
    )
    parser.add_argument(
        "--as-queued",
        action="store_true",
        help="for the jobs of a launch: train the cells as they were when it queued these run folders, except those "
        "that were cancelled or have failed since",
    )
    parser.description = (
        "Trains one run, or a few, from where it stopped if it has begun; tells W&B; and writes the report if it was "
        "the last of the grid. A run prints to the log in its run folder. Its threads are its share of "
        "SLURM_CPUS_PER_TASK; without that OMP_NUM_THREADS, or one. Under srun with several tasks (SLURM_NTASKS), each "
        "is one of the processes of one run."
    )
    parser.epilog = (
        "Exit codes: 0 done (or cancelled: nothing is left to do), 1 failed for good, 2 the input was wrong, 75 saved "
        "after SIGUSR1, Slurm's warning: start it again, 143 saved after SIGTERM, 130 after Ctrl-C. At any other code "
        "the process died: the same command continues from the last checkpoint."
    )


def run(args: argparse.Namespace) -> int:
    """Train the runs; the exit code is one of those in the epilog."""
    from lit_resnet import report
    from lit_resnet.launch.job import Job
    from lit_resnet.tracking.beside import mirrored

    if args.runs_per_gpu < 1:
        raise InputError(f"--runs-per-gpu is {args.runs_per_gpu}: write 1 or more")
    job = Job(options.asked(args), mirrored, report=lambda asked: report.write(asked).page)
    return job.run(args.cells, args.runs_per_gpu, args.as_queued)
