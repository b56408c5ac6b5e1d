"""Classification: any net of the paper, trained as Sec. 3.4 and 4.2 say."""

from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lit_resnet.data.module import MOST_IMAGES
from lit_resnet.errors import InputError, check_range
from lit_resnet.nets import Net, NetConfig, ResNet, build
from lit_resnet.nets.config import OWN
from lit_resnet.nets.normalization import group_batch_norm
from lit_resnet.training.disk import say
from lit_resnet.training.iterations import Iterations, Speed, as_dataclass
from lit_resnet.training.schedule import Rate
from lit_resnet.training.sgd import Sgd
from lit_resnet.training.start import Start
from lit_resnet.training.statistics import Following, batch_norms, take_statistics
from lit_resnet.training.window import Counts

Batch = tuple[Tensor, Tensor]  # images [N, C, H, W] and labels [N]
SPLITS = ("test", "val")  # in the order of ImageData's validation loaders


class LitResNet(Iterations):
    """Cross-entropy and SGD with momentum, by the paper's learning rate.

    Args:
        net: The net to train. Its classes and channels are those of the data.
        rate: The rule of the learning rate.
        sgd: SGD's values.
        speed: What takes less time or memory, and changes no number by more than rounding.
        bn_group: Images whose statistics a BN layer takes together, a divisor of the batch; none for the whole batch of
            a device. The paper's two GPUs had 64 each.
        tf32: Let convolutions and matrix products of a GPU round their inputs to TF32. Off, as the paper's numbers
            are those of 32-bit floats.
        signals_every: Measure the variance of each layer's response and the norm of its gradient (Sec. 4.1) at every so
            many iterations; none for never.
        start: Weights that the run begins from: the folder of a finished run of the same net, a file of weights as
            torchvision publishes them or `lit-resnet export` writes them, or a name of the model zoo; none for fresh
            weights. A last layer of another number of classes is fresh. The command line reads them; in a Trainer of
            your own call `begin_from(start_weights(path))`.
        bn_images: Training images over which BN's running statistics are taken anew, as true averages, after the last
            iteration and before the last evaluation (Appendix A), in whole batches: those that training would go on
            with. None for moving averages.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    FROM_DATA: ClassVar[dict[str, str]] = {"net.num_classes": "num_classes", "net.in_channels": "in_channels"}

    def __init__(
        self,
        net: NetConfig,
        rate: Rate = Rate(),  # noqa: B008 (frozen; shown as the default in --help)
        sgd: Sgd = Sgd(),  # noqa: B008
        speed: Speed = Speed(),  # noqa: B008
        bn_group: int | None = None,
        tf32: bool = False,
        signals_every: int | None = None,
        start: str | None = None,
        bn_images: int | None = None,
    ) -> None:
        # Lightning makes the module of a checkpoint with these, as mappings.
        net, rate, sgd, speed = (
            as_dataclass(kind, value) for kind, value in ((NetConfig, net), (Rate, rate), (Sgd, sgd), (Speed, speed))
        )
        built = build(net)
        if isinstance(built, ResNet):
            built.recompute = speed.recompute
        if bn_group is not None:
            group_batch_norm(built, bn_group)
        if bn_images is not None:
            check_range("bn_images", bn_images, 1, MOST_IMAGES)
            if not batch_norms(built):
                raise ValueError(f"bn_images is {bn_images}: this net has no BN; leave it out")
        super().__init__(built, rate, sgd, speed, tf32, signals_every)
        groups = {"net": net, "rate": rate, "sgd": sgd, "speed": speed}
        self.save_hyperparameters(
            {name: asdict(group) for name, group in groups.items()}
            | {"bn_group": bn_group, "tf32": tf32, "signals_every": signals_every}
            | {"start": start, "bn_images": bn_images}
        )
        self.bn_group, self.bn_images, self.num_classes = bn_group, bn_images, net.num_classes
        self.eval_metrics = nn.ModuleDict({split: _new_metrics(net.num_classes) for split in SPLITS})

    @classmethod
    def check(cls, config: Namespace, values: dict[str, Any], images: int) -> None:
        """Refuse a single class, what VGG nets cannot do, and a `bn_group` that does not divide a device's images.

        Raises:
            InputError: With what to write instead.
        """
        super().check(config, values, images)
        if values["net"].num_classes < 2:
            raise InputError(
                "data: its images are of one class, and a net tells classes apart: put them into a folder for each "
                "class, root/train/<class>/; code of your own has to say two or more"
            )
        for name in ("speed.recompute", "bn_group", "signals_every", "bn_images"):
            if values["net"].family == "vgg" and config.model[name]:
                raise InputError(f"model.{name}: a vgg net has neither BN nor residual functions; leave it out")
        if values["net"].family == OWN and config.model["speed.recompute"]:
            raise InputError("model.speed.recompute: is for residual functions of the paper; leave it out")
        if values["net"].family == OWN and "multi-scale" in (config.get("evaluate") or []):
            raise InputError("evaluate: multi-scale needs a fully-convolutional net of the paper; leave it out")
        _check_group(values["bn_group"], images, config.data.batch_size)
        if values["bn_images"] is not None and not 1 <= values["bn_images"] <= MOST_IMAGES:
            raise InputError(f"model.bn_images is {values['bn_images']}: write training images, from 1, or null")

    def begin_from(self, start: Start) -> None:
        """Take the weights of a trained net, all but a last layer of another number of classes; says so then.

        Raises:
            InputError: They are of another net.
        """
        assert isinstance(self.net, Net)
        weights = start.of(self.net)
        self.net.load_state_dict(weights, strict=False)
        if len(weights) < len(start.weights):
            rank_zero_only(say)(
                f"model.start: the last layer is fresh: {start.path} has {start.net.num_classes} classes, and this run "
                f"{self.num_classes}"
            )

    def setup(self, stage: str) -> None:
        """Check `bn_group` and `bn_images`, now that Lightning knows the devices and the data.

        Raises:
            InputError: `bn_group` does not divide a device's images; or `bn_images` is for other data or trainers.
        """
        super().setup(stage)
        if stage == "fit" and self.task_data:
            batch_size = self.task_data.batch_size
            _check_group(self.bn_group, batch_size // self.trainer.world_size, batch_size)
        following = isinstance(getattr(self.trainer, "datamodule", None), Following) and self.trainer.max_steps > 0
        if stage == "fit" and self.bn_images is not None and not following:
            raise InputError(
                "model.bn_images: needs data of lit_resnet, and a Trainer with max_steps; leave it out, and call "
                "lit_resnet.training.statistics.take_statistics yourself"
            )

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Train as any task does; the last step also takes BN's statistics, before any evaluation or checkpoint."""
        super().training_step(batch, batch_idx)
        if self.bn_images is not None and self.global_step == self.trainer.max_steps:
            self._take_statistics(self.bn_images)

    def _take_statistics(self, images: int) -> None:
        """BN's statistics over so many images, rounded up to batches: those after the last iteration of the run."""
        data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue] (undeclared)
        position = self.global_step

        def run(batch: Batch) -> None:
            self.net.forward(self._laid_out(batch[0]))  # a compiled net would be compiled anew
            self._tell("on_statistics_batch")

        # In 32 bits, as the net is evaluated.
        with torch.autocast(self.device.type, enabled=False), closing(data.following(position)) as batches:
            wanted = islice(batches, -(-images // data.batch_size))
            take_statistics(self.net, wanted, run, partial(self.trainer.strategy.reduce, reduce_op="mean"))

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] float images -> [N, num_classes] logits."""
        return self.net(self._laid_out(images))

    def _laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self.speed.channels_last else images

    def loss(self, batch: Batch) -> tuple[Tensor, Counts]:
        """Mean cross-entropy of a batch; of each image its loss, and 100 % where its class is wrong."""
        images, labels = batch
        logits = self(images)
        losses = F.cross_entropy(logits, labels, reduction="none")
        wrong = 100 * (logits.detach().argmax(1) != labels).sum()
        return losses.mean(), Counts(len(labels), {"train_loss": losses.sum(), "train_error": wrong})

    def example(self, images: int, image_shape: tuple[int, int, int]) -> Batch:
        """Random images, all of the first class."""
        labels = torch.zeros(images, dtype=torch.long, device=self.device)
        return torch.randn(images, *image_shape, device=self.device), labels

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count a batch of a split (see `_split`)."""
        with torch.autocast(self.device.type, enabled=False):  # half precision changes the class of 1 image in 100
            logits = self(batch[0])
        metrics = self._metrics(self._split(dataloader_idx))
        metrics["accuracy"].update(logits, batch[1])
        # The loss of each image: MeanMetric ignores weights when its checks for nan are off.
        metrics["loss"].update(F.cross_entropy(logits, batch[1], reduction="none"))

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count a batch of test images."""
        self.validation_step(batch, batch_idx, dataloader_idx)

    def predict_step(self, batch: Batch | Tensor, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Images [N, C, H, W], alone or with their labels -> the share of each class, [N, num_classes]."""
        return self(batch if isinstance(batch, Tensor) else batch[0]).softmax(1)

    def evaluation(self) -> dict[str, float]:
        """Loss and error of each split; of the images of a run that are held out, the error alone."""
        row = {}
        loaders = self.trainer.num_test_batches if self.trainer.testing else self.trainer.num_val_batches
        for split in map(self._split, range(len(loaders))):
            metrics = self._metrics(split)
            values = metrics.compute()
            metrics.reset()
            row |= {f"{split}_loss": values["loss"].item(), f"{split}_error": 100 * (1 - values["accuracy"].item())}
        if self.task_data:
            row.pop("val_loss", None)  # no metric of the task
        return row

    def _split(self, loader: int) -> str:
        """The split that a loader of the Trainer has, by which its metrics are called.

        The validation loaders of `ImageData` are `SPLITS`; of other data they are `val`, `val_1`, ..., and the test
        loaders `test`, `test_1`, ...
        """
        if self.task_data and not self.trainer.testing:
            return SPLITS[loader]
        name = "test" if self.trainer.testing else "val"
        return f"{name}_{loader}" if loader else name

    def _metrics(self, split: str) -> MetricCollection:
        if split not in self.eval_metrics:
            self.eval_metrics[split] = _new_metrics(self.num_classes).to(self.device)
        metrics = self.eval_metrics[split]
        assert isinstance(metrics, MetricCollection)
        return metrics


def _check_group(group: int | None, images: int, batch_size: int) -> None:
    """Refuse a group of images that does not divide those which a device has of a batch."""
    if group is not None and (group < 1 or images % group):
        whose = "data.batch_size" if images == batch_size else "a device's part of data.batch_size"
        raise InputError(f"model.bn_group is {group}: write a divisor of {whose} ({images}), or null")


def _new_metrics(num_classes: int) -> MetricCollection:
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
            "loss": MeanMetric(nan_strategy="disable"),  # the other strategies wait for the device
        },
        compute_groups=False,
    )
