"""A wish that a run stop: Ctrl-C, SIGTERM, Slurm's warning, or the file that `lit-resnet cancel` makes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# SIGUSR1 is what a Slurm job is sent before its time is over.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stopped(BaseException):
    """The run was asked to stop. It has saved where it was, if there was anything to save."""


class StopRequest:
    """A wish that training grants at the end of an iteration; at once, if there is nothing to save.

    Several devices grant it together. A second Ctrl-C is an order; other signals may come twice, as Slurm sends them to
    a launcher and to its runs.

    Attributes:
        made: Whether it was made.
        signal: The first signal that made it, if one did.
    """

    def __init__(self) -> None:
        self.made = False
        self.signal: int | None = None
        self.training = False
        self._granted = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """While it lasts, the signals mean this, and what is stopped ends here.

        An ignored signal stays ignored: the launcher heeds Ctrl-C for its runs.
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
        """From here on there is something to save."""
        self.training = True
        self._listen()  # anew: Lightning has put handlers before this one that end the run without a checkpoint

    def training_ends(self) -> None:
        """All is saved.

        Raises:
            Stopped: The wish was made after the last iteration had looked for it.
        """
        self.training = False
        if self.made:
            self._grant()

    def _listen(self) -> None:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._make)

    def _make(self, number: int, _: Any) -> None:
        ordered = number == signal.SIGINT == self.signal
        self.made, self.signal = True, self.signal or number
        if ordered or not self.training:
            self._grant()

    def _grant(self) -> None:
        """Once: what is being stopped must not be stopped again while it puts its things in order."""
        if not self._granted:
            self._granted = True
            raise Stopped
