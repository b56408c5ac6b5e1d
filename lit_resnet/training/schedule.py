"""The paper's learning rate: divided by 10 at given iterations (Sec. 4.2) or on plateaus (Sec. 3.4), with a warm-up."""

import math
from dataclasses import dataclass
from typing import Any

from lit_resnet.metrics import FLOAT32


@dataclass(frozen=True)
class Rate:
    """The rule of the learning rate; the defaults are those of the paper on CIFAR-10.

    Args:
        lr: Learning rate of the first iterations.
        milestones: Iterations after which the learning rate is divided by 10, in growing order.
        warmup_lr: The most that the learning rate may be until the training error has fallen below `warmup_error`; none
            for no warm-up. The paper trains its 110-layer net so, with 0.01.
        warmup_error: Training error in percent below which warm-up ends.
        warmup_window: Iterations over which that training error is taken.
        plateau_patience: Divide the learning rate by 10 after so many evaluations in a row of which none has brought
            the error `plateau_least` points below the lowest one before (Sec. 3.4: "when the error plateaus"); none for
            milestones alone. The error is that of the held-out images if there are any (`data.val_size`), else that of
            the validation images that the paper's ImageNet tables are about, as it seems to be in the paper.
        plateau_least: Points of error by which an evaluation must be better.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    lr: float = 0.1
    milestones: tuple[int, ...] = (32000, 48000)
    warmup_lr: float | None = None
    warmup_error: float = 80.0
    warmup_window: int = 100
    plateau_patience: int | None = None
    plateau_least: float = 0.1

    def __post_init__(self) -> None:
        # Written so that nan fails, too.
        if not 0 < self.lr <= FLOAT32:
            raise ValueError(f"lr is {self.lr}: write a number above 0, such as 0.1")
        steps = list(self.milestones)
        if any(step < 1 for step in steps) or sorted(set(steps)) != steps:
            raise ValueError(f"milestones is {steps}: write iterations in growing order, such as [32000, 48000]")
        if self.warmup_lr is not None and not 0 < self.warmup_lr < self.lr:
            raise ValueError(
                f"warmup_lr is {self.warmup_lr}: write a number between 0 and lr ({self.lr}), such as 0.01, or null"
            )
        if not 0 < self.warmup_error <= 100:
            raise ValueError(f"warmup_error is {self.warmup_error}: write percent, above 0 and up to 100, such as 80")
        if self.warmup_window < 1:
            raise ValueError(f"warmup_window is {self.warmup_window}: write iterations, a whole number from 1")
        if self.plateau_patience is not None and self.plateau_patience < 1:
            raise ValueError(f"plateau_patience is {self.plateau_patience}: write evaluations, a whole number from 1")
        if not 0 <= self.plateau_least <= 100:
            raise ValueError(f"plateau_least is {self.plateau_least}: write points of error, 0 to 100, such as 0.1")


class LearningRate:
    """The learning rate of every iteration by a rule; iterations count from 1.

    A plateau is there when the last `plateau_patience` evaluations have all failed to bring the error `plateau_least`
    points below the lowest one before them. The rate falls from the next iteration on, and the count of evaluations
    starts again at 0.

    A net of 110 layers hardly begins to converge at 0.1: so until its training error has fallen below `warmup_error`,
    `warmup_lr` is the most that it gets. Milestones are counted from the start of the training, warm-up or not.

    Args:
        rule: The rule, which never changes; the other attributes are the state.
    """

    def __init__(self, rule: Rate) -> None:
        self.rule = rule
        # What `observe` and `evaluated` have made of the errors.
        self.warmup_steps: int | None = None  # iterations after which warm-up ended
        self.drops: list[int] = []  # iterations after which a plateau made the rate fall
        self.lowest = math.inf  # the last error that counted as better
        self.stale = 0  # evaluations since then, or since the last drop

    @property
    def warming_up(self) -> bool:
        """Whether there is a warm-up that has not ended."""
        return self.rule.warmup_lr is not None and self.warmup_steps is None

    def at(self, iteration: int) -> float:
        """The rate that this iteration is trained with."""
        rate = self.rule.lr / 10 ** sum(iteration > step for step in (*self.rule.milestones, *self.drops))
        return min(rate, self.rule.warmup_lr) if self.warming_up else rate

    def observe(self, iteration: int, train_error: float) -> None:
        """Take note of the training error (percent) of the iterations up to this one; it may end the warm-up."""
        if self.warming_up and train_error < self.rule.warmup_error:
            self.warmup_steps = iteration

    def evaluated(self, iteration: int, error: float) -> None:
        """Take note of the error (percent) that an evaluation after this iteration has found; it may be a plateau."""
        if self.rule.plateau_patience is None:
            return
        if error <= self.lowest - self.rule.plateau_least:
            self.lowest, self.stale = error, 0
            return
        self.stale += 1
        if self.stale == self.rule.plateau_patience:
            self.drops, self.stale = [*self.drops, iteration], 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: everything but the rule."""
        return {name: getattr(self, name) for name in ("warmup_steps", "drops", "lowest", "stale")}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        for name in self.state():
            setattr(self, name, state[name])
