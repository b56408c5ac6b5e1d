"""A wish that a run stop: Ctrl-C, SIGTERM, Slurm's warning, or `lit-resnet cancel`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# SIGUSR1 is what a Slurm job is sent before its time is over.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stopped(BaseException):
    """The run was asked to stop. It has saved where it was, if there was anything to save."""


class StopRequest:
    """A wish that training grants at the end of an iteration; at once, if it has nothing to save.

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

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """While it lasts, the signals mean this; an ignored one stays ignored (the launcher heeds Ctrl-C)."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def training_begins(self) -> None:
        """From here on there is something to save."""
        self.training = True
        self._listen()  # anew: Lightning has put handlers before this one that end the run without a checkpoint

    def training_ends(self) -> None:
        """All is saved."""
        self.training = False

    def _listen(self) -> None:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._make)

    def _make(self, number: int, _: Any) -> None:
        ordered = number == signal.SIGINT and self.signal == signal.SIGINT
        self.made, self.signal = True, self.signal or number
        if ordered or not self.training:
            raise Stopped
