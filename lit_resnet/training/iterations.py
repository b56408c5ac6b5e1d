"""How any task trains: stretches of iterations, the learning rate, windows, signals, and what a checkpoint keeps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from lit_resnet.data.stream import Stretch
from lit_resnet.errors import InputError
from lit_resnet.nets.chance import by_chance
from lit_resnet.probes.gates import Watching, gates
from lit_resnet.probes.signals import Layered, Listening
from lit_resnet.training.schedule import LearningRate, Rate
from lit_resnet.training.sgd import Sgd
from lit_resnet.training.start import Start
from lit_resnet.training.weights import net_weights
from lit_resnet.training.window import Counts, Window


@dataclass(frozen=True)
class Speed:
    """What takes less time or memory, and changes no number by more than rounding.

    Args:
        channels_last: Store images and weights with channels last: the same numbers to rounding, faster on CPUs and on
            GPUs with tensor cores.
        compile: Compile the net with torch.compile, on a GPU with CUDA graphs, which spare a small net the launches of
            its many kernels; on a CPU it takes a C++ compiler. The first step takes a minute or more, and seconds
            where a run of the same net has left its code in the user's cache. Iterations in which signals or gates are
            measured run the net as it is.
        recompute: Keep only the activations between segments of the net and compute the others again when gradients
            need them. For 1202 layers: a fraction of the memory for a third more arithmetic.
    """

    channels_last: bool = True
    compile: bool = False
    recompute: bool = False


@runtime_checkable
class TaskData(Protocol):
    """What a run asks of its LightningDataModule, whatever the task.

    It is made with `stretch`, the number of iterations of a training step, and its training loader yields stretches of
    so many batches (`data.stream.Stretches`), or batches where that is one.

    Attributes:
        name: The data set, in words.
        image_shape: [C, H, W] of an image for which a net's parameters and arithmetic are counted.
        batch_size: Images of a mini-batch, of all devices together.
        damaged_files: Files that were left out because they are damaged.
        degenerate_boxes: Boxes that were left out because they have no width or height, in words.
    """

    name: str
    image_shape: tuple[int, int, int]
    batch_size: int

    @property
    def damaged_files(self) -> list[str]:
        """See above."""
        ...

    @property
    def degenerate_boxes(self) -> list[str]:
        """See above."""
        ...

    def check(self, config: Namespace) -> None:
        """Refuse a run's config that asks of these data what they cannot give.

        Raises:
            InputError: With what to write instead.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of them: tensors and plain values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept.

        Raises:
            InputError: It is of other classes.
        """
        ...

    def known_evaluated(self) -> int:
        """How many images an evaluation takes, as far as that is known without reading them; else 0."""
        ...

    def test_digest(self) -> str | None:
        """A SHA-256 of what the run is tested on; None where that is nothing that could differ between runs."""
        ...


class Iterations(LightningModule):
    """A net that is trained by SGD with momentum and the paper's learning rate, whatever its task.

    A child says what one batch's loss is (`loss`), what a batch looks like (`example`), how a net is judged while it
    trains (`validation_step`, `evaluation`), and which of its metrics the learning rate goes by.

    A `training_step` takes a batch, as any LightningModule does; or a stretch of batches, all those between two
    evaluations: what a Trainer does for each step would take as long as an iteration of a small net on a GPU. Python
    waits for the device only at the end of a window, that of the log (`trainer.log_every_n_steps`) or of the warm-up,
    at a checkpoint, and after an iteration whose signals are measured.

    Callbacks may have four hooks that Lightning does not know. `on_iteration_end(trainer, module)` is called after
    each iteration but the last of a stretch, which Lightning's own hooks follow. `on_signals(trainer, module, step,
    signals)` is called with the signals of an iteration in which they are measured, and `on_gates(trainer, module,
    step, openings)` at the end of each window of the log, of a net that has gates.
    `on_statistics_batch(trainer, module)` is called after each batch over which BN's statistics are taken, when no
    iteration follows.

    Args:
        net: What is trained. Its attribute `config` is a frozen dataclass that describes it; `str(config)` is its name.
        rate: The rule of the learning rate.
        sgd: SGD's values.
        speed: What takes less time or memory. A child has to pass `recompute` on to its net.
        tf32: Let convolutions and matrix products of a GPU round their inputs to TF32.
        signals_every: Measure the signals of the net's layers at every so many iterations; None for never.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    # Values of the child's __init__ that come from attributes of the data, which know them without reading images.
    FROM_DATA: ClassVar[dict[str, str]] = {}
    # The error (percent) over a window of iterations that ends a warm-up; and that of an evaluation which may be a
    # plateau, the first of these that there is.
    WARMUP_METRIC: ClassVar[str] = "train_error"
    PLATEAU_METRICS: ClassVar[tuple[str, ...]] = ("val_error", "test_error")

    def __init__(
        self,
        net: nn.Module,
        rate: Rate,
        sgd: Sgd,
        speed: Speed = Speed(),
        tf32: bool = False,
        signals_every: int | None = None,
    ) -> None:
        super().__init__()
        if signals_every is not None and signals_every < 1:
            raise ValueError(f"signals_every is {signals_every}: write iterations, a whole number from 1")
        if signals_every is not None and not (isinstance(net, Layered) and list(net.layers())):
            raise ValueError(f"signals_every is {signals_every}: this net does not name its layers; leave it out")
        self.automatic_optimization = False
        self.config = net.config
        self.rate, self.sgd, self.speed = LearningRate(rate), sgd, speed
        self.tf32, self.signals_every = tf32, signals_every
        self.net = net
        if speed.channels_last:
            self.net.to(memory_format=torch.channels_last)
        self.gates = gates(net)
        self._draws = by_chance(self.net)
        self._windows: dict[str, Window] = {}  # of the log and, while it lasts, of the warm-up
        self._restored: dict[str, dict[str, Tensor]] | None = (
            None  # their state in a checkpoint, with a value for each device
        )
        self._measured: tuple[int, float] | None = None  # step and time at the end of the last window

    # -- what a child says

    def loss(self, batch: Any) -> tuple[Tensor, Counts]:
        """The loss of one batch, of which the gradient is taken, and what the batch adds to a window."""
        raise NotImplementedError

    def example(self, images: int, image_shape: tuple[int, int, int]) -> Any:
        """A batch of random images of [C, H, W] on the module's device, for `plan` to time an iteration with."""
        raise NotImplementedError

    def trained_macs(self, image_shape: tuple[int, int, int], macs: int) -> int:
        """Multiply-adds of an image's forward pass in training. `macs` are those of a test; here, these."""
        return macs

    def begin_from(self, start: Start) -> None:
        """Take trained weights in place of the fresh ones, before the first iteration; of a task with `model.start`.

        Raises:
            InputError: They are of another net.
        """
        raise NotImplementedError

    def evaluation(self) -> dict[str, float]:
        """The results of the evaluation that has just ended, by metric; also resets them for the next one."""
        raise NotImplementedError

    @classmethod
    def check(cls, config: Namespace, values: dict[str, Any], images: int) -> None:
        """Refuse a run's config whose values do not fit each other, before a net is built.

        Args:
            config: All of it.
            values: What the module would be made with.
            images: Images of a mini-batch that each device gets.

        Raises:
            InputError: With what to write instead.
        """
        every, speed = values.get("signals_every"), values.get("speed", Speed())
        if every is not None and every < 1:
            raise InputError(f"model.signals_every is {every}: write iterations, a whole number from 1")
        if every is not None and config.trainer.precision == "16-mixed":
            raise InputError(
                "model.signals_every: 16-bit floats with their scaled gradients cannot be measured; leave out "
                "trainer.precision 16-mixed"
            )
        if speed.recompute and speed.compile:
            raise InputError("model.speed.recompute: a compiled net cannot recompute; leave out model.speed.compile")

    @property
    def task_data(self) -> TaskData | None:
        """The data of the run that this module is in; None in a Trainer that has other data, and without a Trainer."""
        data = getattr(self._trainer, "datamodule", None)
        return data if isinstance(data, TaskData) else None

    # -- training: a window's numbers are those of the batches as they were trained

    def setup(self, stage: str) -> None:
        """Set TF32 for this process, and compile the net before a training."""
        if self.speed.compile and stage == "fit":
            on_gpu = self.trainer.strategy.root_device.type == "cuda"
            self.net.compile(mode="reduce-overhead" if on_gpu else "default")
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD over the net's weights; each iteration sets its learning rate."""
        return self.sgd.optimizer(self.net, self.rate.rule.lr)

    def on_train_start(self) -> None:
        """Begin the windows, those of a checkpoint where it left them, and look for callbacks with our hooks."""
        self._measured = None
        self._seed = torch.initial_seed()
        self._windows = {name: Window(self.device) for name in ("log", "warmup")}
        for name, counts in (self._restored or {}).items():
            self._windows[name].restore({key: values[self.global_rank] for key, values in counts.items()})
        self._restored = None
        callbacks = self.trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue] (undeclared)
        self._listeners: dict[str, list[Callable[..., None]]] = {
            hook: [getattr(callback, hook) for callback in callbacks if hasattr(callback, hook)]
            for hook in ("on_iteration_end", "on_signals", "on_gates", "on_statistics_batch")
        }

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Train on one batch, or on those of a stretch, but not beyond the last iteration of the run."""
        if not isinstance(batch, Stretch):
            self._iterate(batch)
            return
        left = self.trainer.max_steps - self.global_step if self.trainer.max_steps >= 0 else None
        for one in islice(batch, left):
            self._iterate(one)
            if self.global_step not in (batch.stop, self.trainer.max_steps):
                self._tell("on_iteration_end")

    def _iterate(self, batch: Any) -> None:
        """One iteration of the paper."""
        optimizer, step = self.optimizers(), self.global_step + 1
        assert isinstance(optimizer, LightningOptimizer)  # the one of `configure_optimizers`
        rate = self.rate.at(step)
        self.sgd.set_rate(optimizer.optimizer, rate)
        if self._draws:  # what it draws depends on seed, iteration and device alone: a resume changes nothing
            drawn = np.random.SeedSequence(self._seed, spawn_key=(2, step, self.global_rank))
            torch.manual_seed(int(drawn.generate_state(1)[0]))
        every = self.trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue] (undeclared)
        closing = step % every == 0 or step == self.trainer.max_steps  # the window of the log
        listening, watching = self._listening(step), Watching(self.gates) if self.gates and closing else None
        optimizer.optimizer.zero_grad()  # before the forward pass, which then need not leave room for old gradients
        measured = listening is not None or watching is not None
        compiled = _compiled(as_it_is=measured) if self.speed.compile else nullcontext()
        with listening or nullcontext(), watching or nullcontext(), compiled:
            loss, counts = self.loss(batch)
            self.manual_backward(loss)
        optimizer.step()
        if listening is not None:
            self._tell("on_signals", step, listening.signals())
        if watching is not None:
            self._tell("on_gates", step, watching.openings())
        self._windows["log"].add(counts)
        if self.rate.warming_up:
            self._windows["warmup"].add(counts)
            if step % self.rate.rule.warmup_window == 0:
                self.rate.observe(step, self._windows["warmup"].close(self._total)[self.WARMUP_METRIC])
        if closing:
            means = self._windows["log"].close(self._total)
            self._log_row(means | {"lr": rate} | self._speed(step, counts.images), step)

    def _listening(self, step: int) -> Listening | None:
        """What measures the signals of an iteration; None where they are not to be measured."""
        if self.signals_every is None or step % self.signals_every:
            return None
        assert isinstance(self.net, Layered)  # so says __init__
        return Listening(self.net)

    def _tell(self, hook: str, *args: Any) -> None:
        for listener in self._listeners[hook]:
            listener(self.trainer, self, *args)

    def _total(self, count: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(count, reduce_op="sum")

    def _speed(self, step: int, batch_size: int) -> dict[str, float]:
        """Images/s of all devices since the last window or evaluation; nothing in the first window of an attempt."""
        before, now = self._measured, (step, time.perf_counter())
        self._measured = now
        if before is None:
            return {}
        images = (now[0] - before[0]) * batch_size * self.trainer.world_size
        return {"images_per_second": round(images / (now[1] - before[1]), 1)}

    # -- evaluation

    def on_validation_start(self) -> None:
        """Give all devices the same net: batches differ from device to device, and so do BN's running statistics."""
        if self.trainer.world_size > 1:  # BN's running statistics of the first device, which a checkpoint has
            for buffer in self.net.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def on_validation_epoch_end(self) -> None:
        """Log the results; an evaluation during training may also find a plateau."""
        row = self.evaluation()
        if not self.trainer.sanity_checking and self.trainer.state.fn == "fit":
            error = next((row[name] for name in self.PLATEAU_METRICS if name in row), None)
            if error is not None:
                self.rate.evaluated(self.global_step, error)
        self._log_row(row, self.global_step)
        self._measured = (self.global_step, time.perf_counter())  # the time of this evaluation is no training time

    def on_test_epoch_end(self) -> None:
        """Log the results."""
        self._log_row(self.evaluation(), self.global_step)

    def _log_row(self, row: dict[str, float], step: int) -> None:
        """Give values to the loggers at once, by iteration of the paper, and to Lightning for its bar and callbacks."""
        row = {name: _percent(value) if name.endswith("_error") else value for name, value in row.items()}
        training = self.trainer.state.fn == "fit"
        if training and not self.trainer.sanity_checking:
            for logger in self.loggers:  # a logger with `log_row` tells these rows from what callbacks log
                getattr(logger, "log_row", logger.log_metrics)(row, step)
        # Outside training Lightning passes it on to the loggers, and returns it to who called `validate` or `test`.
        self.log_dict(row, prog_bar=True, logger=not training)

    # -- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the net's name, and the state of the data, the learning rate and the windows of all devices."""
        checkpoint["net"] = str(self.config)
        if self.task_data:
            checkpoint["data"] = self.task_data.state()
        checkpoint["rate"] = self.rate.state()
        if not self._windows:  # before any training
            return
        counts = self.all_gather({name: window.counts() for name, window in self._windows.items()})
        assert isinstance(counts, dict)  # as what was gathered
        checkpoint["windows"] = {
            name: {key: values.reshape(self.trainer.world_size).cpu() for key, values in of_window.items()}
            for name, of_window in counts.items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` added; Lightning restores the weights.

        Raises:
            InputError: The checkpoint is of another net, of other classes, or of an earlier version of this package.
        """
        net_weights(self.net, checkpoint)
        try:
            self.rate.restore(checkpoint["rate"])
            if self.task_data:
                self.task_data.restore(checkpoint["data"])
            self._restored = checkpoint.get("windows")
            for counts in (self._restored or {}).values():
                Window(self.device).restore({key: values[self.global_rank] for key, values in counts.items()})
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"the checkpoint is of another version of lit-resnet ({type(error).__name__}: {error}); go on with "
                "that version, or give another folder"
            ) from None


def as_dataclass(kind: type, value: Any) -> Any:
    """A value of a dataclass, which may be given as a mapping of its fields, as checkpoints have it."""
    return kind(**value) if isinstance(value, dict) else value


def _percent(error: float) -> float:
    """Round an error in percent to 4 decimals, which tell one image in a million; the rest is rounding noise."""
    return round(error, 4)


@contextmanager
def _compiled(as_it_is: bool) -> Iterator[None]:
    """Run a compiled net, or the same net as it is, as hooks do not work on a compiled one.

    Raises:
        InputError: It cannot be compiled, such as without a compiler.
    """
    from torch._dynamo.exc import TorchDynamoException  # here, as it takes seconds to import, and is there by now

    try:
        with torch.compiler.set_stance("force_eager") if as_it_is else nullcontext():
            yield
    except TorchDynamoException as error:
        why = str(getattr(error, "inner_exception", error)).partition("\n")[0]
        raise InputError(f"model.speed.compile: this net cannot be compiled here ({why}); leave it out") from None
