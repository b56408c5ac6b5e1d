"""One process at a time judges a run, and writes what its numbers come from."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lit_resnet.errors import InputError
from lit_resnet.runfolder.folder import RunFolder


@contextmanager
def judged_alone(run: RunFolder, place: Path) -> Iterator[None]:
    """Hold the lock of the folder of a run in which scores or detections are kept; it is made where there is none.

    Raises:
        InputError: Another process has it, or the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            place.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(place / ".lock", timeout=0))
        except Timeout:
            raise InputError(f"{run.path}: another process evaluates this run; wait for it") from None
        except OSError as error:
            raise InputError(f"{run.path}: cannot be written ({error.strerror})") from None
        yield
