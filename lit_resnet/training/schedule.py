"""The paper's learning rate (Sec. 4.2): divided by 10 at given iterations, with a warm-up for the deepest nets."""


class LearningRate:
    """The learning rate of every iteration; iterations count from 1.

    It is `lr`, divided by 10 after each milestone. A net of 110 layers hardly begins to converge at 0.1: so until its
    training error has fallen below `warmup_error`, `warmup_lr` is the most that it gets. Milestones are counted from
    the start of the training, warm-up or not.

    Args:
        lr: The rate of the first iterations.
        milestones: Iterations after which it is divided by 10, in growing order.
        warmup_lr: The highest rate during warm-up; None for no warm-up.
        warmup_error: Training error in percent below which warm-up ends.
    """

    def __init__(
        self, lr: float, milestones: list[int], warmup_lr: float | None = None, warmup_error: float = 80.0
    ) -> None:
        self.lr, self.milestones = lr, milestones
        self.warmup_lr, self.warmup_error = warmup_lr, warmup_error
        self.warmup_steps: int | None = None  # iterations after which warm-up ended: with `observe`, all its state

    @property
    def warming_up(self) -> bool:
        """Whether there is a warm-up that has not ended."""
        return self.warmup_lr is not None and self.warmup_steps is None

    def at(self, iteration: int) -> float:
        """The rate that this iteration is trained with."""
        rate = self.lr / 10 ** sum(iteration > milestone for milestone in self.milestones)
        return min(rate, self.warmup_lr) if self.warming_up else rate

    def observe(self, iteration: int, train_error: float) -> None:
        """Take note of the training error (percent) of the iterations up to this one; it may end the warm-up."""
        if self.warming_up and train_error < self.warmup_error:
            self.warmup_steps = iteration
