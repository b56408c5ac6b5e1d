"""The one LightningModule: any net of the paper, trained as Sec. 3.4 and 4.2 say."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lit_resnet.data.stream import Block
from lit_resnet.errors import InputError
from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.nets.normalization import group_batch_norm
from lit_resnet.probes.signals import Listening, Signal
from lit_resnet.training.schedule import LearningRate
from lit_resnet.training.window import Window

Batch = tuple[Tensor, Tensor]
SPLITS = ("test", "val")  # in the order of ImageData's validation loaders


class LitResNet(LightningModule):
    """Cross-entropy and SGD with momentum, by the paper's learning rate.

    One `training_step` is a block of iterations of the paper, all those between two evaluations: what a Trainer does
    for each step would take as long as an iteration of a small net on a GPU. An iteration does not wait for the device:
    only the end of a window does, that of the log (`trainer.log_every_n_steps`) or of the warm-up, a checkpoint, and an
    iteration whose signals are measured. A callback that has `on_iteration_end(trainer,
    module)` is called after each iteration but the last of a block, which Lightning's own hooks follow.

    Args:
        net: The net to train. Its classes and channels are those of the data.
        lr: Learning rate of the first iterations.
        momentum: Momentum of SGD.
        weight_decay: Weight decay, on all weights as in the paper.
        milestones: Iterations after which the learning rate is divided by 10.
        warmup_lr: The most that the learning rate may be until the training error has fallen below `warmup_error`; none
            for no warm-up. The paper trains its 110-layer net so, with 0.01.
        warmup_error: Training error in percent below which warm-up ends.
        warmup_window: Iterations over which that training error is taken.
        decay_bn_and_bias: Weight decay on BN's scales and shifts and biases too, as in the paper.
        bn_group: Images whose statistics a BN layer takes together, a divisor of the batch; none for the whole batch of
            a device. The paper's two GPUs had 64 each.
        recompute: Keep only the activations between segments of the net and compute the others again when gradients
            need them. For 1202 layers: a fraction of the memory for a third more arithmetic.
        channels_last: Store images and weights with channels last: the same numbers to rounding, faster on CPUs and on
            GPUs with tensor cores.
        compile: Compile the net with torch.compile, on a GPU with CUDA graphs, which spare a small net the launches of
            its many kernels. The first step takes a minute or more.
        tf32: Let convolutions and matrix products of a GPU round their inputs to TF32. Off, as the paper's numbers
            are those of 32-bit floats.
        plateau_patience: Divide the learning rate by 10 after so many evaluations in a row of which none has brought
            the error `plateau_least` points below the lowest one before (Sec. 3.4: "when the error plateaus"); none for
            milestones alone. The error is that of the held-out images if there are any (`data.val_size`), else that of
            the validation images that the paper's ImageNet tables are about, as it seems to be in the paper.
        plateau_least: Points of error by which an evaluation must be better.
        signals_every: Measure the variance of each layer's response and the norm of its gradient (Sec. 4.1) at every so
            many iterations; none for never.
    """

    def __init__(
        self,
        net: NetConfig,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        milestones: list[int] = [32000, 48000],  # noqa: B006 (shown as the default in --help)
        warmup_lr: float | None = None,
        warmup_error: float = 80.0,
        warmup_window: int = 100,
        decay_bn_and_bias: bool = True,
        bn_group: int | None = None,
        recompute: bool = False,
        channels_last: bool = True,
        compile: bool = False,
        tf32: bool = False,
        plateau_patience: int | None = None,
        plateau_least: float = 0.1,
        signals_every: int | None = None,
    ) -> None:
        super().__init__()
        check_hyperparameters(
            *(lr, momentum, weight_decay, milestones, warmup_lr, warmup_error, warmup_window),
            *(plateau_patience, plateau_least, signals_every),
        )
        self.automatic_optimization = False
        self.config = net
        self.rate = LearningRate(lr, milestones, warmup_lr, warmup_error, plateau_patience, plateau_least)
        self.momentum, self.weight_decay, self.decay_bn_and_bias = momentum, weight_decay, decay_bn_and_bias
        self.warmup_window, self.signals_every = warmup_window, signals_every
        self.channels_last, self.compiled, self.tf32 = channels_last, compile, tf32
        self.net = build(net)
        self.net.recompute = recompute
        self.bn_group = bn_group
        if bn_group is not None:
            group_batch_norm(self.net, bn_group)
        if channels_last:
            self.net.to(memory_format=torch.channels_last)
        self.eval_metrics = torch.nn.ModuleDict({split: _metrics(net.num_classes) for split in SPLITS})
        self.keep_signals: Callable[[int, list[Signal]], None] | None = None  # for the recorder to set
        self._drops = any(isinstance(module, torch.nn.Dropout) for module in self.net.modules())  # VGG
        self._windows: dict[str, Window] = {}  # of the log and, while it lasts, of the warm-up
        self._restored: Tensor | None = None  # what a checkpoint had of them: [devices, windows, 3]
        self._measured: tuple[int, float] | None = None  # step and time at the end of the last window

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] float images -> [N, num_classes] logits."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.net(images)

    def setup(self, stage: str) -> None:
        images = self.trainer.datamodule.batch_size // self.trainer.world_size
        if stage == "fit" and self.bn_group is not None and images % self.bn_group:
            raise InputError(
                f"model.bn_group is {self.bn_group}, but a device has {images} images of a batch: write a divisor of "
                "that, or null"
            )
        if self.compiled and stage == "fit":
            on_gpu = self.trainer.strategy.root_device.type == "cuda"
            self.net.compile(mode="reduce-overhead" if on_gpu else "default")
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        weights = [p for p in self.net.parameters() if p.ndim > 1 or self.decay_bn_and_bias]
        others = [p for p in self.net.parameters() if p.ndim == 1 and not self.decay_bn_and_bias]
        groups = [{"params": weights, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=self.rate.lr, momentum=self.momentum)

    # -- training: the error is that of the batches as they were trained, over the logging window

    def on_train_start(self) -> None:
        self._measured = None
        self._seed = torch.initial_seed()
        self._windows = {name: Window(self.device) for name in ("log", "warmup")}
        if self._restored is not None:
            for window, counts in zip(self._windows.values(), self._restored[self.global_rank], strict=True):
                window.restore(counts)
        self._restored = None
        self._listeners = [c.on_iteration_end for c in self.trainer.callbacks if hasattr(c, "on_iteration_end")]

    def training_step(self, block: Block, batch_idx: int) -> None:
        left = self.trainer.max_steps - self.global_step if self.trainer.max_steps >= 0 else None
        for batch in islice(block, left):
            self._iterate(*batch)
            if self.global_step not in (block.stop, self.trainer.max_steps):
                for listener in self._listeners:
                    listener(self.trainer, self)

    def _iterate(self, images: Tensor, labels: Tensor) -> None:
        """One iteration of the paper."""
        optimizer, step = self.optimizers(), self.global_step + 1
        rate = self.rate.at(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if self._drops:  # what is dropped is a function of seed, iteration and device, so that a resume changes nothing
            drawn = np.random.SeedSequence(self._seed, spawn_key=(2, step, self.global_rank))
            torch.manual_seed(int(drawn.generate_state(1)[0]))
        measuring = self.signals_every is not None and step % self.signals_every == 0
        with Listening(self.net) if measuring else nullcontext() as listening:
            logits = self(images)
            losses = F.cross_entropy(logits, labels, reduction="none")
            optimizer.zero_grad()
            self.manual_backward(losses.mean())
        optimizer.step()
        if measuring and self.keep_signals:
            self.keep_signals(step, listening.signals())
        self._windows["log"].add(logits, labels, losses)
        if self.rate.warming_up:
            self._windows["warmup"].add(logits, labels, losses)
            if step % self.warmup_window == 0:
                _, error = self._windows["warmup"].close(self._total)
                self.rate.observe(step, error)
        if step % self.trainer.log_every_n_steps == 0 or step == self.trainer.max_steps:
            loss, error = self._windows["log"].close(self._total)
            row = {"train_loss": loss, "train_error": _percent(error), "lr": rate}
            self._log_row(row | self._speed(step, len(labels)), step)

    def _total(self, count: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(count, reduce_op="sum")

    def _speed(self, step: int, batch_size: int) -> dict[str, float]:
        """Images/s since the last measure, over all devices; nothing where an evaluation or a resume lies between."""
        before, now = self._measured, (step, time.perf_counter())
        self._measured = now
        if before is None:
            return {}
        images = (now[0] - before[0]) * batch_size * self.trainer.world_size
        return {"images_per_second": round(images / (now[1] - before[1]), 1)}

    # -- evaluation: the test set's error, and that of the held-out split where there is one

    def on_validation_start(self) -> None:
        if self.trainer.world_size > 1:  # BN's running statistics of the first device, which a checkpoint has
            for buffer in self.net.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        with torch.autocast(self.device.type, enabled=False):  # half precision changes the class of 1 image in 100
            logits = self(batch[0])
        losses = F.cross_entropy(logits, batch[1], reduction="none")
        _update(self.eval_metrics[SPLITS[dataloader_idx]], logits, batch[1], losses)

    def on_validation_epoch_end(self) -> None:
        row = {}
        for split, _ in zip(SPLITS, self.trainer.val_dataloaders, strict=False):
            row |= _compute(self.eval_metrics[split], split)
        row.pop("val_loss", None)  # held-out images are there to choose by, which is done by their error
        if not self.trainer.sanity_checking and self.trainer.state.fn == "fit":
            self.rate.evaluated(self.global_step, row.get("val_error", row["test_error"]))
        self._log_row(row, self.global_step)
        self._measured = (self.global_step, time.perf_counter())  # the time of this evaluation is no training time

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        self._log_row(_compute(self.eval_metrics["test"], "test"), self.global_step)

    def _log_row(self, row: dict[str, float], step: int) -> None:
        """To the loggers at once, with the paper's count of iterations, and to Lightning for its bar and callbacks."""
        for logger in self.loggers:
            logger.log_metrics(row, step)
        bar = {key: value for key, value in row.items() if key.endswith("_error")}
        self.log_dict(bar, prog_bar=True, logger=False)

    # -- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["net"] = str(self.config)
        checkpoint["mean"] = self.trainer.datamodule.mean  # so that who evaluates it needs no training images
        checkpoint["rate"] = self.rate.state()
        checkpoint["damaged"] = self.trainer.datamodule.damaged_files
        counts = self.all_gather(torch.stack([window.counts() for window in self._windows.values()]))
        checkpoint["windows"] = counts.reshape(self.trainer.world_size, -1, 3).cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        net_weights(self.net, checkpoint)
        self.rate.restore(checkpoint["rate"])
        self.trainer.datamodule.damaged_files = checkpoint["damaged"]
        self._restored = checkpoint["windows"]


def check_hyperparameters(
    lr: float,
    momentum: float,
    weight_decay: float,
    milestones: list[int],
    warmup_lr: float | None,
    warmup_error: float,
    warmup_window: int,
    plateau_patience: int | None,
    plateau_least: float,
    signals_every: int | None,
) -> None:
    """Refuse values of SGD and its schedule that are out of range.

    Raises:
        ValueError: With what to write instead.
    """
    if lr <= 0:
        raise ValueError(f"lr is {lr}: write a number above 0, such as 0.1")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}: write a number from 0 up to 1, such as 0.9")
    if weight_decay < 0:
        raise ValueError(f"weight_decay is {weight_decay}: write 0 or more, such as 1e-4")
    if any(step < 1 for step in milestones) or sorted(set(milestones)) != list(milestones):
        raise ValueError(f"milestones is {milestones}: write iterations in growing order, such as [32000, 48000]")
    if warmup_lr is not None and not 0 < warmup_lr < lr:
        raise ValueError(f"warmup_lr is {warmup_lr}: write a number between 0 and lr ({lr}), such as 0.01, or null")
    if not 0 < warmup_error <= 100:
        raise ValueError(f"warmup_error is {warmup_error}: write percent, above 0 and up to 100, such as 80")
    for name, value, unit in (
        ("warmup_window", warmup_window, "iterations"),
        ("plateau_patience", plateau_patience, "evaluations"),
        ("signals_every", signals_every, "iterations"),
    ):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}: write {unit}, a whole number from 1")
    if plateau_least < 0:
        raise ValueError(f"plateau_least is {plateau_least}: write points of error, 0 or more, such as 0.1")


def load_weights(net: Net, path: Path) -> None:
    """Load the net's weights from a checkpoint of a run.

    Raises:
        InputError: The file is no checkpoint, or one of another net.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch.load has as many as there are ways to damage a file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a checkpoint that can be read ({reason})") from None
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path}: not a checkpoint of a run")
    net.load_state_dict(net_weights(net, checkpoint))


def net_weights(net: Net, checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The weights of `net` in a checkpoint: name for name and shape for shape its own.

    Raises:
        InputError: The checkpoint is of another net; with the first weight that differs.
    """
    weights = {
        name.removeprefix("net."): weight
        for name, weight in checkpoint.get("state_dict", {}).items()
        if name.startswith("net.")
    }
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    for name in wanted | given:
        if wanted.get(name) != given.get(name):
            there, here = given.get(name, "missing"), wanted.get(name, "unknown")
            origin = checkpoint.get("net", "another program")
            raise InputError(
                f"the checkpoint is of {origin}, not of {net.config}: weight {name} is {there} there and {here} here; "
                "give the net that it is of, or move it away"
            )
    return weights


def _metrics(num_classes: int) -> MetricCollection:
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
            "loss": MeanMetric(nan_strategy="disable"),  # the other strategies wait for the device
        },
        compute_groups=False,
    )


def _update(metrics: MetricCollection, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
    """Count a batch: logits [N, classes], labels [N] and the loss of each image [N]."""
    metrics["accuracy"].update(logits, labels)
    metrics["loss"].update(losses)  # of each image, for without nan checks MeanMetric knows no weights


def _compute(metrics: MetricCollection, split: str) -> dict[str, float]:
    """Loss and error (percent) since the last call."""
    values = metrics.compute()
    metrics.reset()
    return {f"{split}_loss": values["loss"].item(), f"{split}_error": _percent(100 * (1 - values["accuracy"].item()))}


def _percent(error: float) -> float:
    """The error of up to a million images to one image; what is beyond is a float's noise."""
    return round(error, 4)
