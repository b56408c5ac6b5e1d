"""One process at a time judges a run, and writes what its numbers come from."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lit_resnet.errors import InputError
from lit_resnet.runfolder.folder import RunFolder


@contextmanager
def judged_alone(run: RunFolder, place: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of the folder of a run in which scores or detections are kept; it is made where there is none.

    Args:
        run: The run.
        place: That folder.
        wait: Wait for another process that has it, however long that takes, and say so on stderr.

    Raises:
        InputError: Another process has it, and nobody waits; or the folder cannot be written.
    """
    lock = FileLock(place / ".lock")
    with ExitStack() as held:
        try:
            place.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(lock.acquire(timeout=0))
            except Timeout:
                if not wait:
                    raise InputError(f"{run.path}: another process evaluates this run; wait for it") from None
                print(f"{run.path}: another process evaluates this run; waiting for it", file=sys.stderr)
                held.enter_context(lock)
        except OSError as error:
            raise InputError(f"{run.path}: cannot be written ({error.strerror})") from None
        yield
