"""A request that a run stop: Ctrl-C, SIGTERM, Slurm's warning, or the file that `lit-resnet cancel` makes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# SIGUSR1, which Windows does not know, is what a Slurm job is sent before its time is over.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))


class Stopped(BaseException):
    """The run was asked to stop. It has saved a checkpoint, if there was anything to save."""


class StopRequest:
    """A request to stop. Training saves and stops at the end of an iteration; before and after it a run stops at once.

    Several devices stop at the same iteration. A second Ctrl-C stops a run at once, without a checkpoint; other signals
    may come twice, as Slurm sends them to a launcher and to its runs.

    Attributes:
        made: Whether somebody has asked.
        signal: The first signal that asked, if it was one.
    """

    def __init__(self) -> None:
        self.made = False
        self.signal: int | None = None
        self.training = False
        self._raised = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """While it lasts, the signals make this request, and `Stopped` leaves the block without an error.

        A signal that this process ignores stays ignored: the launcher handles Ctrl-C for its runs.
        """
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        try:
            yield
        except Stopped:
            pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def training_begins(self) -> None:
        """Wait for the end of an iteration from now on: there is something to save."""
        self.training = True
        self._listen()  # again: Lightning has put its own handlers there, which end a run without a checkpoint

    def training_ends(self) -> None:
        """Wait no more: the last checkpoint is saved.

        Raises:
            Stopped: The request was made after the last iteration had looked for it.
        """
        self.training = False
        if self.made:
            self._raise()

    def _listen(self) -> None:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._make)

    def _make(self, number: int, _: Any) -> None:
        ordered = number == signal.SIGINT == self.signal
        self.made, self.signal = True, self.signal or number
        if ordered or not self.training:
            self._raise()

    def _raise(self) -> None:
        """Raise `Stopped`, but only once: a run that is stopping must be able to clean up."""
        if not self._raised:
            self._raised = True
            raise Stopped
