"""What runs in processes forked from the launcher's server, which has imported `PRELOAD` once.

The imports inside the functions are done there already; at the top they would reach the launcher, which needs no torch.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lit_resnet.ablation import ensembles
from lit_resnet.ablation.grid import Ensemble, Grid
from lit_resnet.ablation.plan import check
from lit_resnet.errors import InputError
from lit_resnet.runfolder import InUse, RunFolder

PRELOAD = ["lit_resnet.training.run", "lit_resnet.evaluation.verb"]
DONE, FAILED, STOPPED, IN_USE = 0, 1, 75, 76  # exit codes of a run's process


def check_grid(grid: Grid, answer: Connection) -> None:
    """Check every cell for real; answers with the planned cells and the number of GPUs, or with an InputError."""
    import torch

    try:
        answer.send((check(grid), torch.cuda.device_count()))
    except InputError as error:
        answer.send(error)


def judge_ensembles(grid: Grid, wanted: list[Ensemble], root: Path) -> None:
    """Judge ensembles of finished runs, in a process forked for it; ends the process with 0 or 1."""
    from lit_resnet.evaluation.verb import ensemble_of

    threading.Thread(target=_stop_with_the_launcher, daemon=True).start()
    for ensemble in wanted:
        try:
            errors = ensemble_of(ensembles.members(grid, ensemble, root), ensemble.protocol)
            ensembles.keep(grid, ensemble, root, errors)
        except InputError as error:
            print(f"ensemble {ensemble.name}: {error}", file=sys.stderr)
            sys.exit(FAILED)


def run(config: dict[str, Any], path: Path, cores: tuple[int, ...], gpu: int | None) -> None:
    """One cell, in a process forked for it; ends the process with one of the exit codes above.

    It keeps to its cores, and so do the processes that read images for it.
    """
    import torch

    if gpu is not None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[gpu] if visible else str(gpu)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    threading.Thread(target=_stop_with_the_launcher, daemon=True).start()
    folder = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    with folder.log_file.open("a", buffering=1) as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        print(f"-- {time.strftime('%Y-%m-%d %H:%M:%S')}, {len(cores)} threads, GPU {gpu}", file=sys.stderr)
        sys.exit(_run(config, folder))


def _run(config: dict[str, Any], folder: RunFolder) -> int:
    from lit_resnet.training.config import RunCLI
    from lit_resnet.training.run import train

    try:
        return DONE if train(RunCLI(config), folder) else STOPPED
    except InUse:
        return IN_USE
    except InputError as error:
        if folder.summary():  # another launcher has finished it meanwhile
            return DONE
        print(f"error: {error}", file=sys.stderr)
    except Exception:
        traceback.print_exc()
    return FAILED


def _stop_with_the_launcher() -> None:
    """When the launcher dies, by kill -9 too, the run saves where it is and stops."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
