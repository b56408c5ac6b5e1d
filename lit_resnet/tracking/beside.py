"""Starts the process that tells W&B of a launch's runs, and ends it with the launch. Imports nothing of W&B."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lit_resnet.grid.asked import Asked

PATIENCE, HURRY = 50.0, 5.0  # seconds that W&B has at the end of a launch, and of one that was stopped


@dataclass
class Beside:
    """The process beside a launch; `patience` is how long it is waited for at the end, in seconds."""

    patience: float = PATIENCE

    def hurry(self) -> None:
        """Wait less long for it: the launch was stopped."""
        self.patience = HURRY


@contextmanager
def mirrored(asked: Asked, cells: Sequence[str], say: Callable[[str], None]) -> Iterator[Beside]:
    """While it lasts, W&B is told of some of a grid's runs.

    What goes wrong with W&B is said in a line, and does not end the launch.

    Args:
        asked: The grid.
        cells: The folders of the runs that are to be done.
        say: Takes a line for the user.
    """
    beside = Beside()
    if os.environ.get("WANDB_MODE") == "disabled" or not cells:
        yield beside
        return
    log, later = asked.home / "wandb" / "log.txt", f"later: {asked.command('wandb sync')}"
    try:
        process = _start(asked.words(*cells), log)
    except OSError as error:  # the disk is full, say
        say(f"W&B: {log}: {error.strerror}; {later}")
        yield beside
        return
    assert process.stdin is not None  # both are pipes
    assert process.stdout is not None
    reader = threading.Thread(target=_pass_on, args=(process.stdout, say), daemon=True)
    reader.start()
    try:
        yield beside
    finally:
        try:
            process.stdin.close()
            if process.wait(beside.patience):
                say(f"W&B: was not told of everything ({log} says why); {later}")
        except subprocess.TimeoutExpired:
            say(f"W&B: takes too long, and is not waited for; {later}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            reader.join(1)


def _start(args: list[str], log: Path) -> subprocess.Popen[str]:
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


def _pass_on(lines: Iterable[str], say: Callable[[str], None]) -> None:
    for line in lines:
        say(line.rstrip())
