"""What a run prints while it trains: a bar in a terminal, lines in a log file."""

import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from lit_resnet.listing import redraws
from lit_resnet.metrics import IMAGES_PER_SECOND, LR
from lit_resnet.training.recorder import MetricsFile, evaluation_follows

WORDS_WIDTH = 72  # of count, time left and errors; the bar has the rest of the terminal, up to its usual width
BAR_WIDTHS = (6, 40)


class ProgressBar(Callback):
    """Iterations, time left and errors in a bar; in a log file, a line for each logged window and each evaluation.

    What it says of an evaluation is said after the evaluation: no line and no bar shows the errors of an older one as
    those of now.
    """

    def __init__(self, metrics: MetricsFile) -> None:
        self.metrics = metrics
        self.console = Console(stderr=True)
        whole = Column(no_wrap=True)
        self.bar = Progress(
            TextColumn("iteration", table_column=whole),
            MofNCompleteColumn(table_column=whole),
            BarColumn(max(BAR_WIDTHS[0], min(BAR_WIDTHS[1], self.console.width - WORDS_WIDTH))),
            TimeRemainingColumn(table_column=whole),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            disable=not redraws(self.console),
        )

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Show the bar; that of a resumed run begins at its checkpoint."""
        self.task = self.bar.add_task("", total=trainer.max_steps, completed=trainer.global_step)
        self.bar.start()

    def on_iteration_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Tell of an iteration that no evaluation follows."""
        self._tell(trainer)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Tell of a training step, unless an evaluation follows: then its results belong to it."""
        if not evaluation_follows(trainer):
            self._tell(trainer)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Tell of an iteration together with its evaluation."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._tell(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Leave the bar as it is on the terminal, for other output to follow."""
        self.bar.stop()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Leave the bar, for the error to follow."""
        self.bar.stop()

    def _tell(self, trainer: Trainer) -> None:
        """Move the bar on; in a log file, write a line of what was measured at this iteration, if anything was."""
        if not self.bar.disable:
            self.bar.update(self.task, completed=trainer.global_step, description=self._errors(self.metrics.last))
        elif trainer.is_global_zero and (measured := self.metrics.measured_at(trainer.global_step)):
            words = [self._errors(measured)] if self._errors(measured) else []
            words += [f"lr {measured[LR.name]:g}"] if LR.name in measured else []
            speed = measured.get(IMAGES_PER_SECOND.name)
            words += [f"{speed:,.0f} images/s"] if speed is not None else []
            print(f"iteration {trainer.global_step}/{trainer.max_steps}: {', '.join(words)}", file=sys.stderr)

    def _errors(self, values: dict[str, float]) -> str:
        """The final metrics among some values, in words."""
        final = self.metrics.task.final
        return ", ".join(metric.words(values[metric.name]) for metric in final if metric.name in values)
