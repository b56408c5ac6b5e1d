"""What a launch does for W&B: it starts the process that follows its runs, and ends it. Imports nothing of W&B."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE, HURRY = 50.0, 5.0  # seconds that W&B has at the end; and where the launch was stopped


@dataclass
class Beside:
    """The process beside a launch; `patience` is how long it is waited for at the end, in seconds."""

    patience: float = PATIENCE


@contextmanager
def mirrored(
    grid: str, root: Path, settings: list[str], say: Callable[[str], None], cells: list[str]
) -> Iterator[Beside]:
    """While it lasts, W&B is told of some of a grid's runs: `cells` are the folders of those that are to be done.

    What goes wrong with W&B is said in a line, and that is all.
    """
    beside = Beside()
    if os.environ.get("WANDB_MODE") == "disabled" or not cells:
        yield beside
        return
    log = root / Path(grid).stem / "wandb" / "log.txt"
    try:
        process = _start([grid, "--root", str(root), *(f"--set={setting}" for setting in settings), *cells], log)
    except OSError as error:  # the disk is full, say
        say(f"W&B: {log}: {error.strerror}; {later(grid, root, settings)}")
        yield beside
        return
    reader = threading.Thread(target=_pass_on, args=(process, say), daemon=True)
    reader.start()
    try:
        yield beside
    finally:
        try:
            process.stdin.close()
            if process.wait(beside.patience):
                say(f"W&B: was not told of everything ({log} says why); {later(grid, root, settings)}")
        except subprocess.TimeoutExpired:
            say(f"W&B: takes too long, and is left; {later(grid, root, settings)}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            reader.join(1)


def later(grid: str, root: Path, settings: list[str]) -> str:
    """What to do about all that W&B was not told."""
    more = ["--root", str(root)] if root != Path("runs") else []
    return "later: " + shlex.join(
        ["lit-resnet", "wandb", "sync", grid, *more, *(f"--set={setting}" for setting in settings)]
    )


def _start(args: list[str], log: Path) -> subprocess.Popen:
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "lit_resnet.tracking.follow", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,  # Ctrl-C is for the launch; and what the process starts can be ended with it
        )


def _pass_on(process: subprocess.Popen, say: Callable[[str], None]) -> None:
    for line in process.stdout:
        say(line.rstrip())
