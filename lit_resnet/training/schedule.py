"""The paper's learning rate: divided by 10 at given iterations (Sec. 4.2) or on plateaus (Sec. 3.4), with a warm-up."""

import math
from typing import Any


class LearningRate:
    """The learning rate of every iteration; iterations count from 1.

    It is `lr`, divided by 10 after each milestone and on each plateau of the error. A plateau is there when the last
    `plateau_patience` evaluations have all failed to bring the error `plateau_least` points below the lowest one before
    them; the rate falls from the next iteration on, and the count of evaluations starts anew.

    A net of 110 layers hardly begins to converge at 0.1: so until its training error has fallen below `warmup_error`,
    `warmup_lr` is the most that it gets. Milestones are counted from the start of the training, warm-up or not.

    Args:
        lr: The rate of the first iterations.
        milestones: Iterations after which it is divided by 10, in growing order.
        warmup_lr: The highest rate during warm-up; None for no warm-up.
        warmup_error: Training error in percent below which warm-up ends.
        plateau_patience: Evaluations that make a plateau; None where the error has no say.
        plateau_least: Points of error by which an evaluation must be below the lowest one to count as better.
    """

    def __init__(
        self,
        lr: float,
        milestones: list[int],
        warmup_lr: float | None = None,
        warmup_error: float = 80.0,
        plateau_patience: int | None = None,
        plateau_least: float = 0.1,
    ) -> None:
        self.lr, self.milestones = lr, milestones
        self.warmup_lr, self.warmup_error = warmup_lr, warmup_error
        self.plateau_patience, self.plateau_least = plateau_patience, plateau_least
        # All its state: what `observe` and `evaluated` have made of the errors.
        self.warmup_steps: int | None = None  # iterations after which warm-up ended
        self.drops: list[int] = []  # iterations after which a plateau was there
        self.lowest = math.inf  # error that counted as better
        self.stale = 0  # evaluations since then, or since the last drop

    @property
    def warming_up(self) -> bool:
        """Whether there is a warm-up that has not ended."""
        return self.warmup_lr is not None and self.warmup_steps is None

    def at(self, iteration: int) -> float:
        """The rate that this iteration is trained with."""
        rate = self.lr / 10 ** sum(iteration > step for step in (*self.milestones, *self.drops))
        return min(rate, self.warmup_lr) if self.warming_up else rate

    def observe(self, iteration: int, train_error: float) -> None:
        """Take note of the training error (percent) of the iterations up to this one; it may end the warm-up."""
        if self.warming_up and train_error < self.warmup_error:
            self.warmup_steps = iteration

    def evaluated(self, iteration: int, error: float) -> None:
        """Take note of the error (percent) that an evaluation after this iteration has found; it may be a plateau."""
        if self.plateau_patience is None:
            return
        if error <= self.lowest - self.plateau_least:
            self.lowest, self.stale = error, 0
            return
        self.stale += 1
        if self.stale == self.plateau_patience:
            self.drops, self.stale = [*self.drops, iteration], 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {name: getattr(self, name) for name in ("warmup_steps", "drops", "lowest", "stale")}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        for name in self.state():
            setattr(self, name, state[name])
