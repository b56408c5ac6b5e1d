"""What a run writes while it trains: metrics, progress, checkpoints from which it resumes exactly."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from lit_resnet.errors import InputError
from lit_resnet.probes.gates import Opening
from lit_resnet.probes.signals import Signal
from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import GATES, SIGNALS, Record
from lit_resnet.runfolder.status import Status
from lit_resnet.task import Task
from lit_resnet.training.checkpoints import CheckpointFiles
from lit_resnet.training.clock import CheckpointClock
from lit_resnet.training.disk import Disk, say
from lit_resnet.training.stop import Stopped, StopRequest

HEARTBEAT_SECONDS = 1.0

# Iterations after which several devices ask each other whether to save or to stop. Not after each, as the answer waits
# for the devices; but a stop may have to be granted within 30 seconds, and a window has hundreds of iterations.
ASK_EVERY = 10
# How long a stop waits for the end of an evaluation, after which nothing is lost. If the evaluation takes longer, the
# next attempt repeats it, and the few iterations since the last checkpoint.
EVALUATION_SECONDS = 5.0


class MetricsFile(Logger):
    """Lightning's logger for metrics.csv: a row for each step at which something was measured.

    Its columns are the metrics of the task. While the disk is full, rows wait in memory.
    """

    def __init__(self, folder: RunFolder, disk: Disk, task: Task) -> None:
        self.folder, self.disk, self.task, self.record = folder, disk, task, records.metrics(task)
        self.file = str(self.record.file(folder.path))
        self.last: dict[str, float] = {}  # the newest value of each column
        self._row: dict[str, float] = {}  # of the current step, until it is complete
        self._newest: dict[str, float] = {}  # the same, also after that
        self._kept: list[dict[str, float]] = []  # what the file held at a resume, until a row of a later step
        self._waiting: list[dict[str, float]] = []  # complete rows that are not in the file yet
        self._left_out: set[str] = set()  # names of values that others logged

    @property
    def name(self) -> str:
        """The name by which Lightning tells its loggers apart."""
        return "metrics"

    @property
    def version(self) -> str:
        """Empty: all attempts at a run continue one file."""
        return ""

    @property
    def newest(self) -> dict[str, float]:
        """The newest values of the task's final metrics, by name, as far as they are known."""
        return {metric.name: self.last[metric.name] for metric in self.task.final if metric.name in self.last}

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: config.yaml has them."""

    def log_row(self, row: dict[str, float], step: int) -> None:
        """Take what the module has measured at a step.

        Raises:
            InputError: One of the values is of no metric of the task.
        """
        if self._row and self._row["step"] != step:
            self.write_row()
        for name, value in row.items():
            if name not in self.record.values:
                raise InputError(
                    f"{name} was logged, but is no metric of the task {self.task.name}: declare it in "
                    "lit_resnet/metrics.py and name it in lit_resnet/task.py, or do not log it"
                )
            if not self.record.values[name](value):
                raise InputError(f"{name} is {value}, which its declaration in lit_resnet/metrics.py does not allow")
        self._row |= {"step": step, **row}
        self._newest = dict(self._row)
        self.last |= row

    def measured_at(self, step: int) -> dict[str, float]:
        """The values that were measured at a step, if it is the newest one; none for an older step."""
        return {name: value for name, value in self._newest.items() if self._newest["step"] == step}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Leave out what others log, such as a callback of Lightning's; its own loggers have it. Says so once."""
        others = [name for name in metrics if name != "epoch" and name not in self._left_out]
        if others:
            say(f"not in {self.file}, which has the metrics of the task alone: {', '.join(others)}")
            self._left_out.update(others)

    @rank_zero_only
    def write_row(self) -> None:
        """Write the row of the current step, which is then complete."""
        if self._row:
            self._waiting.append(self._row)
            self._row = {}
        with self.disk.patient(self.file):
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait.

        Raises:
            OSError: The disk is full; the rows go on waiting.
        """
        while self._waiting:
            row = self._waiting[0]
            if self._kept and self._kept[-1]["step"] == row["step"]:
                merged = [*self._kept[:-1], self._kept[-1] | row]
                self.record.replace(self.folder.path, merged)
                self._kept = merged
            else:
                self.record.append(self.folder.path, [row])
                self._kept = []
            self._waiting.pop(0)

    @rank_zero_only
    def resume(self, step: int) -> None:
        """Keep the rows up to `step`, drop the others: training measures them again.

        Rows that stand twice are dropped, too: two processes may have written for a moment.

        Raises:
            InputError: A line of the file is damaged.
        """
        known = [row for row in self.record.grown(self.folder.path) if row["step"] <= step]
        rows = [{name: value for name, value in row.items() if value is not None} for row in known]
        for row in rows:
            self.last |= row
        self._kept = rows
        self.disk.insist(self.file, lambda: self.record.replace(self.folder.path, rows))


class LayersFile:
    """What is measured of each layer at some iterations, in a file of the run. While the disk is full, rows wait."""

    def __init__(self, folder: RunFolder, disk: Disk, record: Record) -> None:
        self.folder, self.disk, self.record = folder.path, disk, record
        self.file = str(record.file(folder.path))
        self._waiting: list[dict[str, Any]] = []

    def resume(self, step: int) -> None:
        """Drop the rows after that iteration, from which the run goes on."""
        known = [row for row in self.record.grown(self.folder) if row["step"] <= step]
        self.disk.insist(self.file, lambda: self.record.replace(self.folder, known))

    def add(self, step: int, layers: Sequence[Signal | Opening]) -> None:
        """Take what was measured in an iteration, and write it unless the disk is full."""
        self._waiting += [{"step": step, "layer": number, **asdict(one)} for number, one in enumerate(layers, start=1)]
        with self.disk.patient(self.file):
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait.

        Raises:
            OSError: The disk is full; the rows go on waiting.
        """
        if self._waiting:
            self.record.append(self.folder, self._waiting)
            self._waiting = []


class Recorder(Checkpoint):
    """Keeps status.json fresh and saves checkpoints; after a stop or a kill the run continues from the last one.

    A checkpoint is written after the evaluation of its step, if there is one, so that a resumed run neither repeats nor
    skips it; and after what all other callbacks do at that step, as Lightning calls a `Checkpoint` last. The data need
    no state of their own: batch k is a function of the seed and k.

    Args:
        folder: The run's folder.
        metrics: The file of its metrics.
        disk: The disk that it writes to.
        stop: The request to stop, which is granted after a checkpoint.
        clock: When a checkpoint is due.
    """

    def __init__(
        self, folder: RunFolder, metrics: MetricsFile, disk: Disk, stop: StopRequest, clock: CheckpointClock
    ) -> None:
        self.folder, self.metrics, self.disk, self.stop, self.clock = folder, metrics, disk, stop, clock
        self.files = CheckpointFiles(folder, disk, flush=self._flush)
        self.status = Status()
        self._elapsed_before = 0.0
        self._started = self._beat = time.monotonic()
        self._stop_seen: float | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Drop the rows after the checkpoint that the run goes on from, and heed requests to stop from here on."""
        self._started = time.monotonic()
        self.clock.start()
        self.metrics.resume(trainer.global_step)
        measured = [(SIGNALS, module.signals_every is not None), (GATES, bool(module.gates))]
        self._of_layers = {
            record.name: LayersFile(self.folder, self.disk, record)
            for record, asked in measured
            if asked and trainer.is_global_zero
        }
        for file in self._of_layers.values():
            file.resume(trainer.global_step)
        self.stop.training_begins()
        self.status.max_steps, self.status.saved = trainer.max_steps, trainer.global_step
        self._heartbeat(trainer)

    @rank_zero_only
    def on_signals(self, trainer: Trainer, module: LightningModule, step: int, signals: list[Signal]) -> None:
        """Write the signals of an iteration; only those of the first device."""
        self._of_layers[SIGNALS.name].add(step, signals)

    @rank_zero_only
    def on_gates(self, trainer: Trainer, module: LightningModule, step: int, openings: list[Opening]) -> None:
        """Write how far the gates are open in an iteration; only those of the first device."""
        self._of_layers[GATES.name].add(step, openings)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Save or stop if it is time and no evaluation follows; one follows each stretch of several iterations."""
        if not evaluation_follows(trainer):
            self.on_iteration_end(trainer, module)

    def on_iteration_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save or stop if it is time; called after each iteration that no evaluation follows."""
        self._heartbeat_if_due(trainer)
        if trainer.world_size == 1 or trainer.global_step % ASK_EVERY == 0:  # asking others takes time
            self._save_if_due(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop if it is time, on one device alone: several have no common moment before the end of an evaluation."""
        if trainer.state.fn == "fit":
            self._stop_without_saving_if_due(trainer)

    def on_statistics_batch(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop if it is time, as in an evaluation: a checkpoint now would have statistics that are not whole."""
        self._stop_without_saving_if_due(trainer)

    def _stop_without_saving_if_due(self, trainer: Trainer) -> None:
        self._heartbeat_if_due(trainer)
        if self.stop.made and trainer.world_size == 1:
            self._stop_seen = self._stop_seen or time.monotonic()
            if time.monotonic() - self._stop_seen > EVALUATION_SECONDS:
                self._say_lost(trainer)
                raise Stopped

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save or stop if it is time."""
        if trainer.state.fn == "fit":
            self._save_if_due(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save the last checkpoint, however long the disk is full."""
        self.files.insisting = True
        self._save(trainer)
        self.stop.training_ends()

    def state_dict(self) -> dict[str, float]:
        """Seconds of training so far, for a checkpoint."""
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Count on from the seconds of a checkpoint."""
        self._elapsed_before = state_dict["elapsed"]

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, earlier attempts included up to the checkpoint that this one started from."""
        return self._elapsed_before + time.monotonic() - self._started

    def _save_if_due(self, trainer: Trainer) -> None:
        due, stop = self.clock.due(trainer.global_step), self.stop.made
        # All devices or none.
        due, stop = (trainer.strategy.reduce_boolean_decision(wish, all=False) for wish in (due or stop, stop))
        if due:
            self._save(trainer)
        if stop:
            if self.files.refused:
                self._say_lost(trainer)
            raise Stopped

    def _say_lost(self, trainer: Trainer) -> None:
        say(f"stopped at iteration {trainer.global_step}; the next attempt goes on from iteration {self.status.saved}")

    def _save(self, trainer: Trainer) -> None:
        started = time.monotonic()
        trainer.save_checkpoint(self.files.last)
        seconds = time.monotonic() - started
        if not self.files.refused:
            self.status.saved = trainer.global_step
        self._heartbeat(trainer)
        self.clock.saved(trainer.global_step, seconds)

    def _flush(self) -> None:
        """Put on the disk what was measured up to here: a checkpoint without it would leave a gap for ever."""
        self.metrics.write_row()
        self.metrics.flush()
        for file in self._of_layers.values():
            file.flush()

    def _heartbeat_if_due(self, trainer: Trainer) -> None:
        if time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._heartbeat(trainer)
            self.stop.made = self.stop.made or (trainer.is_global_zero and self.folder.cancelled)

    def _heartbeat(self, trainer: Trainer) -> None:
        self._beat = time.monotonic()
        self.status.step = trainer.global_step
        self.status.elapsed = round(self.elapsed, 3)
        self.status.newest = self.metrics.newest
        self.note_memory(trainer.strategy.root_device)
        self.write_status()

    def note_memory(self, device: torch.device) -> None:
        """Keep the peak memory of all attempts, in bytes, in the status."""
        self.status.peak_memory_bytes = max(self.status.peak_memory_bytes or 0, peak_memory(device))

    @rank_zero_only
    def write_status(self) -> None:
        """Replace status.json, unless the disk is full."""
        with self.disk.patient(str(self.folder.status_file)):
            self.folder.write_status(self.status)


def evaluation_follows(trainer: Trainer) -> bool:
    """Whether the training step that ends now is followed by an evaluation."""
    every = trainer.val_check_interval  # pyright: ignore[reportAttributeAccessIssue] (undeclared)
    return trainer.global_step % every == 0 or trainer.global_step == trainer.max_steps


def peak_memory(device: torch.device) -> int:
    """Peak memory of this process in bytes: what PyTorch reserved on the GPU, or resident memory where it has none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
