"""A full disk must not end a run: what cannot be written waits, and training goes on."""

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE
from lit_resnet.training.stop import Stopped, StopRequest

# For what a run cannot end without writing: seconds until it gives up, and seconds between two tries.
INSIST_SECONDS, RETRY_SECONDS = 600.0, 5.0


class Disk:
    """The disk that a run writes to. One line on stderr says that it is full, and one that everything is written again.

    A network file system that does not answer for a while counts as full.

    Attributes:
        refused: Names of what could not be written the last time.
    """

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop
        self.refused: set[str] = set()

    @contextmanager
    def patient(self, what: str) -> Iterator[None]:
        """While it lasts, a full disk raises no error: the caller tries to write `what` again later."""
        try:
            yield
        except OSError as error:
            self._refuse(what, error)
        else:
            self._take(what)

    def insist(self, what: str, write: Callable[[], None]) -> None:
        """Call `write` again and again, until `what` is written.

        Raises:
            OSError: The disk was full for `INSIST_SECONDS`.
            Stopped: The run was asked to stop meanwhile.
        """
        end = time.monotonic() + INSIST_SECONDS
        while True:
            try:
                write()
            except OSError as error:
                if time.monotonic() > end:
                    raise
                self._refuse(what, error)
            else:
                self._take(what)
                return
            if self.stop.made:
                raise Stopped
            time.sleep(RETRY_SECONDS)

    def _refuse(self, what: str, error: OSError) -> None:
        if error.errno == errno.EISDIR:  # trying again would not help
            raise InputError(f"{what}: is a folder; move it away, and start the run again") from None
        if error.errno not in FOR_A_WHILE:
            raise error
        if not self.refused:
            say(f"warning: {what}: {error.strerror}; the run goes on and tries again")
        self.refused.add(what)

    def _take(self, what: str) -> None:
        if self.refused == {what}:
            say("the disk is no longer full: everything is written again")
        self.refused.discard(what)


def say(text: str) -> None:
    """Print a line to stderr, which may be a file on the same disk: then the line is lost."""
    with suppress(OSError):
        print(text, file=sys.stderr)
