"""Clocks for `train`: they choose the iterations after which a run saves, and may end or disturb it there."""

from collections.abc import Callable

from lit_resnet.training.clock import CheckpointClock


class Killed(BaseException):
    pass


class Saves(CheckpointClock):
    """Saves after these iterations alone; if `killed` is given, the run dies after that iteration and its saving."""

    def __init__(self, *iterations: int, killed: int | None = None) -> None:
        super().__init__()
        self.iterations, self.killed = iterations, killed

    def due(self, step: int) -> bool:
        if step == self.killed and step not in self.iterations:
            raise Killed
        return step in self.iterations

    def saved(self, step: int, seconds: float) -> None:
        if step == self.killed:
            raise Killed


class Calls(CheckpointClock):
    """Calls `function` with the number of each iteration that has ended; the run saves where it returns True."""

    def __init__(self, function: Callable[[int], bool | None]) -> None:
        super().__init__()
        self.function = function

    def due(self, step: int) -> bool:
        return bool(self.function(step))
