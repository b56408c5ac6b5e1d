"""When a run saves a checkpoint."""

import time

CHECKPOINT_SECONDS = 5.0  # between checkpoints, or longer where saving them would cost more than 1 % of the time


class CheckpointClock:
    """Says when a checkpoint is due: by the time that has passed, and by the time that saving takes.

    A run that is asked to stop saves in any case, and so does one that has trained its last iteration. Where several
    devices train, each asks a clock of its own, and all of them save when one of the clocks says so.
    """

    def __init__(self) -> None:
        self._saved, self._cost = time.monotonic(), 0.0

    def start(self) -> None:
        """Count from now: training begins."""
        self._saved, self._cost = time.monotonic(), 0.0

    def due(self, step: int) -> bool:
        """Whether to save the state after iteration `step`, whose evaluation is over if it has one."""
        return time.monotonic() - self._saved > max(CHECKPOINT_SECONDS, 100 * self._cost)

    def saved(self, step: int, seconds: float) -> None:
        """Count from now: saving the state after iteration `step` took so long, even if the disk was full."""
        self._saved, self._cost = time.monotonic(), seconds
