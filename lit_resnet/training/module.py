"""The one LightningModule: any net of the paper, trained as Sec. 3.4 and 4.2 say."""

import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lit_resnet.errors import InputError
from lit_resnet.nets import Net, NetConfig, build

Batch = tuple[Tensor, Tensor]
SPLITS = ("test", "val")  # in the order of ImageData's validation loaders


class LitResNet(LightningModule):
    """Cross-entropy and SGD with momentum; the learning rate is divided by 10 at given iterations.

    A step of training is one iteration of the paper. Nothing in it waits for the device: losses and errors are summed
    there and read once a logging window (`trainer.log_every_n_steps`).

    Args:
        net: The net to train. Its classes and channels are those of the data.
        lr: Learning rate of the first iterations.
        momentum: Momentum of SGD.
        weight_decay: Weight decay on all weights, those of BN included.
        milestones: Iterations at which the learning rate is divided by 10.
        channels_last: Store images and weights with channels last: the same numbers to rounding, faster on CPUs and on
            GPUs with tensor cores.
        compile: Compile the net with torch.compile. The first step takes a minute or more.
        tf32: Let convolutions and matrix products of a GPU round their inputs to TF32. Off, as the paper's numbers
            are those of 32-bit floats.
    """

    def __init__(
        self,
        net: NetConfig,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        milestones: list[int] = [32000, 48000],  # noqa: B006 (shown as the default in --help)
        channels_last: bool = True,
        compile: bool = False,
        tf32: bool = False,
    ) -> None:
        super().__init__()
        check_hyperparameters(lr, momentum, weight_decay, milestones)
        self.config = net
        self.lr, self.momentum, self.weight_decay, self.milestones = lr, momentum, weight_decay, milestones
        self.channels_last, self.tf32 = channels_last, tf32
        self.net = build(net)
        if channels_last:
            self.net.to(memory_format=torch.channels_last)
        if compile:
            self.net.compile()
        # Persistent, so that a run resumed in the middle of a window reports the same figures.
        self.train_metrics = _metrics(net.num_classes)
        self.train_metrics.persistent(True)
        self.eval_metrics = torch.nn.ModuleDict({split: _metrics(net.num_classes) for split in SPLITS})
        self._measured: tuple[int, float] | None = None  # step and time at the end of the last window

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] float images -> [N, num_classes] logits."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.net(images)

    def setup(self, stage: str) -> None:
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.SGD(
            self.net.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, self.milestones, gamma=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # -- training: the error is that of the batches as they were trained, over the logging window

    def on_train_start(self) -> None:
        self._measured = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = self(batch[0])
        losses = F.cross_entropy(logits, batch[1], reduction="none")
        _update(self.train_metrics, logits.detach(), batch[1], losses.detach())
        step = self.global_step + 1
        if step % self.trainer.log_every_n_steps == 0 or step == self.trainer.max_steps:
            row = _compute(self.train_metrics, "train") | {"lr": self.optimizers().param_groups[0]["lr"]}
            self._log_row(row | self._speed(step, len(batch[1])), step)
        return losses.mean()

    def _speed(self, step: int, batch_size: int) -> dict[str, float]:
        """Images/s since the last measure, over all devices; nothing where an evaluation or a resume lies between."""
        before, now = self._measured, (step, time.perf_counter())
        self._measured = now
        if before is None:
            return {}
        images = (now[0] - before[0]) * batch_size * self.trainer.world_size
        return {"images_per_second": round(images / (now[1] - before[1]), 1)}

    # -- evaluation: the test set's error, and that of the held-out split where there is one

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        with torch.autocast(self.device.type, enabled=False):  # half precision changes the class of 1 image in 100
            logits = self(batch[0])
        losses = F.cross_entropy(logits, batch[1], reduction="none")
        _update(self.eval_metrics[SPLITS[dataloader_idx]], logits, batch[1], losses)

    def on_validation_epoch_end(self) -> None:
        row = {}
        for split, _ in zip(SPLITS, self.trainer.val_dataloaders, strict=False):
            row |= _compute(self.eval_metrics[split], split)
        row.pop("val_loss", None)
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

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        net_weights(self.net, checkpoint)


def check_hyperparameters(lr: float, momentum: float, weight_decay: float, milestones: list[int]) -> None:
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
    error = 100 * (1 - values["accuracy"].item())
    return {f"{split}_loss": values["loss"].item(), f"{split}_error": round(error, 4)}  # 0.0001 % is a float's noise
