"""The work of processes that are forked from the pool's server, and of the ranks of a job.

Only the functions import torch, as the process of a launch imports this file to name them. The server has imported
`PRELOAD` before it forks, so that the imports cost a forked process nothing.
"""

import io
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE
from lit_resnet.grid import ensembles
from lit_resnet.grid.grid import Ensemble, Grid
from lit_resnet.launch.exits import Exit
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lock import InUse

PRELOAD = ["lit_resnet.launch.preload"]


def check_grid(grid: Grid, answer: Connection) -> None:
    """Check every cell, and send the planned cells with the bytes of each GPU's memory, or an InputError."""
    import torch

    from lit_resnet.launch.plan import check

    try:
        gpus = [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]
        answer.send((check(grid), gpus))
    except InputError as error:
        answer.send(error)


def judge_ensembles(grid: Grid, wanted: list[Ensemble], root: Path) -> None:
    """Judge ensembles of finished runs, in a process forked for it; exits with 1 where one cannot be judged."""
    from lit_resnet.run.evaluate import ensemble_of

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the server ignores it
    threading.Thread(target=_stop_with_the_launcher, daemon=True).start()
    for ensemble in wanted:
        try:
            errors = ensemble_of(ensembles.members(grid, ensemble, root), ensemble.protocol)
            ensembles.keep(grid, ensemble, root, errors)
        except InputError as error:
            print(f"ensemble {ensemble.name}: {error}", file=sys.stderr)
            sys.exit(Exit.FAILED)


def run(config: dict[str, Any], path: Path, threads: int, cores: tuple[int, ...] | None, gpu: int | None) -> None:
    """Train a cell in a process forked for it, and exit with a code of `Exit`.

    Given cores, the process is pinned to them, and so are the processes that read images for it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the server ignores it
    if gpu is not None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[gpu] if visible else str(gpu)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    threading.Thread(target=_stop_with_the_launcher, daemon=True).start()
    code, _ = train(config, path, threads, f"GPU {gpu}" if gpu is not None else "no GPU")
    sys.exit(code)


def train(config: dict[str, Any], path: Path, threads: int, place: str) -> tuple[Exit, int | None]:
    """Train a cell in this process, whose output goes to the run's log from here on.

    Returns:
        The exit code, and the signal that stopped it, if one did.
    """
    import torch

    from lit_resnet.run.config import RunCLI
    from lit_resnet.run.run import train
    from lit_resnet.training.stop import StopRequest

    torch.set_num_threads(threads)
    folder, stop = RunFolder(path), StopRequest()
    try:
        path.mkdir(parents=True, exist_ok=True)
        _print_to(folder.log_file)
        print(f"-- {time.strftime('%Y-%m-%d %H:%M:%S')}, {threads} threads, {place}", file=sys.stderr)
        done, summary = train(RunCLI(config), folder, stop), folder.summary()
        if summary:
            print(f"done, {summary.results}", file=sys.stderr)
        return (Exit.DONE if done else Exit.STOPPED), stop.signal
    except InUse:
        return Exit.IN_USE, None
    except InputError as error:
        if folder.summary():  # another launcher has finished it meanwhile
            return Exit.DONE, None
        print(f"error: {error}", file=sys.stderr)
        return Exit.FAILED, None
    except torch.OutOfMemoryError:
        traceback.print_exc()
        return Exit.OUT_OF_MEMORY, None
    except OSError as error:
        traceback.print_exc()
        return (Exit.DISK_FULL if error.errno in FOR_A_WHILE else Exit.DIED), None
    except Exception:
        traceback.print_exc()
        return Exit.DIED, None


class _Log(io.TextIOWrapper):
    """Keeps its lines while the disk is full, and writes them later: a full disk must not end a run."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _print_to(path: Path) -> None:
    """Append all output of this process to a file, that of C libraries included."""
    with path.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    sys.stdout, sys.stderr = (
        _Log(os.fdopen(number, "wb", closefd=False), encoding="utf-8", errors="replace", line_buffering=True)
        for number in (1, 2)
    )


def _stop_with_the_launcher() -> None:
    """Let the run save and stop when its launcher dies, by kill -9 too."""
    launcher = multiprocessing.parent_process()
    assert launcher is not None  # this is a child
    launcher.join()
    os.kill(os.getpid(), signal.SIGTERM)
