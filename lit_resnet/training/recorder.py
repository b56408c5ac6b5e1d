"""What a run leaves behind while it trains: metrics, progress, checkpoints from which it resumes exactly."""

import os
import signal
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lit_resnet.probes.signals import Signal
from lit_resnet.runfolder import METRICS, RunFolder, Status

HEARTBEAT_SECONDS = 1.0
CHECKPOINT_SECONDS = 5.0  # between checkpoints, or longer where saving them would cost more than 1 % of the time


class Stopped(BaseException):
    """The run was asked to stop (SIGTERM or Ctrl-C). It has saved where it was, if there was anything to save."""


class StopRequest:
    """SIGTERM and Ctrl-C: a wish that training grants at the end of an iteration; at once, if it has nothing to save.

    Several devices grant it together, at the end of a logging window. The second time it is an order.
    """

    def __init__(self) -> None:
        self.made = False
        self.training = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """While it lasts, the two signals mean this; an ignored one stays ignored (the launcher heeds Ctrl-C)."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        self._listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def training_begins(self) -> None:
        """From here on there is something to save."""
        self.training = True
        self._listen()  # anew: Lightning has put a handler before this one that ends the run without a checkpoint

    def training_ends(self) -> None:
        """All is saved."""
        self.training = False

    def _listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._make)

    def _make(self, *_: Any) -> None:
        if self.made or not self.training:
            raise Stopped
        self.made = True


class MetricsFile(Logger):
    """Lightning's logger for metrics.csv: one row a step, whatever was measured at it side by side."""

    name, version = "metrics", ""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.last: dict[str, float] = {}  # the newest value of each column
        self._row: dict[str, float] = {}
        self._kept: list[dict[str, float]] = []  # what the file held at a resume, until a row of a later step

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml has them."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._row and self._row["step"] != step:
            self.write_row()
        row = {key: value for key, value in metrics.items() if key in METRICS}
        if row:
            self._row |= {"step": step, **row}
            self.last |= row

    @rank_zero_only
    def write_row(self) -> None:
        """Write the row of the current step, which is then complete."""
        if self._kept and self._row and self._kept[-1]["step"] == self._row["step"]:
            self._kept[-1] |= self._row
            self.folder.write_metrics(self._kept)
        elif self._row:
            self.folder.append_metrics(self._row)
            self._kept = []
        self._row = {}

    @rank_zero_only
    def resume(self, step: int) -> None:
        """Keep the rows up to `step`; those after it will come again."""
        rows = [{k: v for k, v in row.items() if v is not None} for row in self.folder.metrics() if row["step"] <= step]
        for row in rows:
            self.last |= row
        self._kept = rows
        self.folder.write_metrics(rows)


class Recorder(Callback):
    """Keeps status.json fresh and saves checkpoints; after a stop or a kill the run continues from the last one.

    A checkpoint is written after the evaluation of its step, if there is one, so that a resumed run neither repeats nor
    skips it. The data need no state of their own: batch k is a function of the seed and k.
    """

    def __init__(self, folder: RunFolder, metrics: MetricsFile, stop: StopRequest) -> None:
        self.folder, self.metrics, self.stop = folder, metrics, stop
        self.status = Status()
        self._elapsed_before = 0.0
        self._started = time.monotonic()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._started = self._saved = self._beat = time.monotonic()
        self._save_cost = 0.0
        self.metrics.resume(trainer.global_step)
        if module.signals_every is not None and trainer.is_global_zero:
            self.folder.write_signals([row for row in self.folder.signals() if row["step"] <= trainer.global_step])
            module.keep_signals = self._signals
        self.stop.training_begins()
        self.status.max_steps = trainer.max_steps
        self._heartbeat(trainer)

    def _signals(self, step: int, signals: list[Signal]) -> None:
        rows = [{"step": step, "layer": layer, **asdict(signal)} for layer, signal in enumerate(signals, start=1)]
        self.folder.append_signals(rows)

    def on_iteration_end(self, trainer: Trainer, module: LightningModule) -> None:
        """After each iteration that no evaluation follows."""
        if time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._heartbeat(trainer)
        if trainer.world_size == 1 or trainer.global_step % trainer.log_every_n_steps == 0:  # asking others takes time
            self._save_if_due(trainer)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._save_if_due(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._save(trainer)
        self.stop.training_ends()

    def state_dict(self) -> dict[str, float]:
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._elapsed_before = state_dict["elapsed"]

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, earlier attempts included up to the checkpoint that this one started from."""
        return self._elapsed_before + time.monotonic() - self._started

    def _save_if_due(self, trainer: Trainer) -> None:
        stop = self.stop.made
        due = stop or time.monotonic() - self._saved > max(CHECKPOINT_SECONDS, 100 * self._save_cost)
        # All devices or none.
        due, stop = (trainer.strategy.reduce_boolean_decision(wish, all=False) for wish in (due, stop))
        if due:
            self._save(trainer)
        if stop:
            raise Stopped

    def _save(self, trainer: Trainer) -> None:
        started = time.monotonic()
        self.metrics.write_row()
        new, last, previous = (self.folder.checkpoints / f"{name}.ckpt" for name in ("new", "last", "previous"))
        trainer.save_checkpoint(new)
        if trainer.is_global_zero:
            if last.exists():
                os.replace(last, previous)
            os.replace(new, last)
        self._saved = time.monotonic()
        self._save_cost = self._saved - started
        self._heartbeat(trainer)

    def _heartbeat(self, trainer: Trainer) -> None:
        self._beat = time.monotonic()
        self.status.step = trainer.global_step
        self.status.elapsed = round(self.elapsed, 3)
        self.status.train_error = self.metrics.last.get("train_error")
        self.status.test_error = self.metrics.last.get("test_error")
        self.write_status()

    @rank_zero_only
    def write_status(self) -> None:
        """Replace status.json."""
        self.folder.write_status(self.status)


def newest_checkpoint(folder: RunFolder) -> Path | None:
    """The newest whole checkpoint, or None where the run has none. A damaged one is passed over, with a warning."""
    for name in ("last", "previous"):
        path = folder.checkpoints / f"{name}.ckpt"
        if path.exists():
            if _whole(path):
                return path
            print(f"warning: {path} is damaged: using the checkpoint before it, if there is one", file=sys.stderr)
    return None


def _whole(path: Path) -> bool:
    """Whether a checkpoint, which is a zip file with checksums, is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


class ProgressBar(Callback):
    """A line of progress in iterations; in a log file, a line for each logged window."""

    def __init__(self, metrics: MetricsFile) -> None:
        self.metrics = metrics
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("iteration"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.task = self.bar.add_task("", total=trainer.max_steps, completed=trainer.global_step)
        self.bar.start()

    def on_iteration_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """After each iteration; Lightning calls it under another name after the last one of a block."""
        if not self.bar.finished:
            self.bar.update(self.task, completed=trainer.global_step, description=self._words())
        window_ended = trainer.global_step % trainer.log_every_n_steps == 0
        if window_ended and trainer.is_global_zero and not self.console.is_terminal:
            print(f"iteration {trainer.global_step}/{trainer.max_steps}: {self._words()}", file=sys.stderr)

    on_train_batch_end = on_iteration_end

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self.bar.stop()

    def _words(self) -> str:
        names = {"train_error": "train error {:.2f} %", "test_error": "test error {:.2f} %", "lr": "lr {:g}"}
        names["images_per_second"] = "{:,.0f} images/s"
        return ", ".join(text.format(self.metrics.last[key]) for key, text in names.items() if key in self.metrics.last)


def peak_memory(device: torch.device) -> int:
    """Peak bytes: those allocated on a GPU, or resident in this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
