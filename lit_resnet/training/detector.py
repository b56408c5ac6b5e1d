"""Detection: Faster R-CNN on any net of the paper, trained and tested as Appendix A says."""

from dataclasses import asdict
from typing import Any, ClassVar, Literal

import torch
from jsonargparse import Namespace
from torch import Tensor

from lit_resnet import metrics
from lit_resnet.data.boxes import Found, sources
from lit_resnet.data.boxes.module import BoxData
from lit_resnet.data.boxes.stream import BoxBatch, SizedImage
from lit_resnet.errors import InputError
from lit_resnet.evaluation.detection import JUDGES, check_judge
from lit_resnet.evaluation.detection.search import found_in
from lit_resnet.nets import NetConfig, ResNet
from lit_resnet.nets.detector import Detector, DetectorConfig, check_net
from lit_resnet.probes.complexity import complexity
from lit_resnet.training.iterations import Iterations, Speed, as_dataclass
from lit_resnet.training.schedule import Rate
from lit_resnet.training.sgd import Sgd
from lit_resnet.training.start import Start
from lit_resnet.training.statistics import batch_norms, take_statistics
from lit_resnet.training.window import Counts

TAKEN_IMAGES = 64  # from which BN's statistics are taken, for a net that starts from no weights
EXAMPLE_BOX = 0.5  # of an image's sides: the object of a made-up image


class LitDetector(Iterations):
    """Faster R-CNN by approximate joint training: the RPN and the detector learn at once, from the same images.

    Args:
        net: The net that detects. Its classes are those of the data.
        start: The weights that it begins with, of a classification net: a run folder, a file that torchvision publishes
            or that `lit-resnet export` writes, or a name of the model zoo.
        bn: What BN's fixed statistics are: `fixed`, those of the weights that it starts from, as the paper says;
            `taken`, for a net that starts from none: those of training images before the first iteration.
        detector: What the detector has beside its net.
        rate: The rule of the learning rate.
        sgd: SGD's values.
        speed: What takes less time or memory, and changes no number by more than rounding.
        tf32: Let convolutions and matrix products of a GPU round their inputs to TF32.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    FROM_DATA: ClassVar[dict[str, str]] = {"net.num_classes": "num_classes", "net.in_channels": "in_channels"}
    WARMUP_METRIC: ClassVar[str] = metrics.REGION_ERROR.name
    PLATEAU_METRICS: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        net: NetConfig,
        start: str | None = None,
        bn: Literal["fixed", "taken"] = "fixed",
        detector: DetectorConfig = DetectorConfig(),  # noqa: B008 (frozen; shown as the default in --help)
        rate: Rate = Rate(lr=0.001, milestones=(80000,)),  # noqa: B008
        sgd: Sgd = Sgd(weight_decay=5e-4),  # noqa: B008
        speed: Speed = Speed(),  # noqa: B008
        tf32: bool = False,
    ) -> None:
        kinds = ((NetConfig, net), (DetectorConfig, detector), (Rate, rate), (Sgd, sgd), (Speed, speed))
        net, detector, rate, sgd, speed = (as_dataclass(kind, value) for kind, value in kinds)
        built = Detector(net, detector)
        if isinstance(built.backbone, ResNet):
            built.backbone.recompute = speed.recompute
        super().__init__(built, rate, sgd, speed, tf32)
        groups = {"net": net, "detector": detector, "rate": rate, "sgd": sgd, "speed": speed}
        self.save_hyperparameters(
            {name: asdict(group) for name, group in groups.items()} | {"start": start, "bn": bn, "tf32": tf32}
        )
        self.bn = bn
        self._found: dict[int, Found] = {}
        # What the last evaluation found in all test images, by their numbers, and after which iteration.
        self.found: tuple[int, list[Found]] | None = None

    @property
    def detector(self) -> Detector:
        """The net, which `Iterations` trains."""
        assert isinstance(self.net, Detector)
        return self.net

    @classmethod
    def check(cls, config: Namespace, values: dict[str, Any], images: int) -> None:
        """Refuse nets on which there is no detector, BN of fresh weights, and rules and judges that are not there.

        Raises:
            InputError: With what to write instead.
        """
        super().check(config, values, images)
        check_net(values["net"])
        check_judge(sources.find(config.data.source).judged)
        if values["bn"] == "fixed" and values["start"] is None and values["net"].family != "vgg":
            raise InputError(
                "model.bn is fixed, to the statistics of fresh weights, which are none: write model.start, a run "
                "folder, a file of weights or a name of the model zoo; or model.bn taken"
            )
        if values["bn"] == "taken" and values["net"].family == "vgg":
            raise InputError("model.bn is taken, and a vgg net has no BN: leave it out")
        if values["bn"] == "taken" and values["start"] is not None:
            raise InputError("model.bn is taken, and model.start has statistics of its own: write model.bn fixed")
        if values["rate"].plateau_patience is not None:
            raise InputError("model.rate.plateau_patience: detection has no error that plateaus; write milestones")
        if values["speed"].compile:
            raise InputError("model.speed.compile: a detector's images have many sizes; leave it out")

    def begin_from(self, start: Start) -> None:
        """Take the weights of a classification net, all but those of its last layer, and the mean of its images.

        Raises:
            InputError: They are of another net.
        """
        self.detector.backbone.load_state_dict(start.of(self.detector.backbone))
        if start.mean is not None:  # a mean image has one value for each pixel of a crop
            self.detector.mean.copy_(start.mean.mean((1, 2), keepdim=True))

    def on_train_start(self) -> None:
        """Also take BN's statistics for a net that starts from no weights."""
        super().on_train_start()
        if self.bn == "taken" and self.global_step == 0:
            stream, devices = self._data.stream(0), self.trainer.world_size
            batches = (next(stream) for _ in range(-(-TAKEN_IMAGES // self._data.batch_size)))
            # One by one, so that they are the same however many devices share a batch.
            images = (image for batch in batches for image in batch.images)
            take_statistics(self.detector.backbone, images, self._pass, lambda total: self._total(total) / devices)
            stream.close()

    def _pass(self, image: Tensor) -> None:
        """Bring an image through all layers of the net that have BN, as in classification: conv5_x sees a whole map."""
        backbone = self.detector.backbone
        maps = backbone.trunk(self.detector.prepare([image]).tensors)
        if isinstance(backbone, ResNet):
            backbone.head(maps)

    def loss(self, batch: BoxBatch) -> tuple[Tensor, Counts]:
        """The sum of the four losses; of each image its losses, and the percentage of its regions that are wrong."""
        images = len(batch.images)
        losses = self.detector.losses(*batch)
        parts = {
            metrics.RPN_CLASS_LOSS.name: losses.rpn_class,
            metrics.RPN_BOX_LOSS.name: losses.rpn_box,
            metrics.CLASS_LOSS.name: losses.class_,
            metrics.BOX_LOSS.name: losses.box,
        }
        loss = torch.stack(list(parts.values())).sum()
        wrong = 100 * losses.wrong / max(1, losses.sampled)
        logged = parts | {metrics.TRAIN_LOSS.name: loss, metrics.REGION_ERROR.name: wrong}
        return loss, Counts(images, {name: value.detach() * images for name, value in logged.items()})

    def example(self, images: int, image_shape: tuple[int, int, int]) -> BoxBatch:
        """Random images, each with one object in its middle.

        BN takes their statistics first: with fresh weights a deep net would propose no region, and a step cost less
        than in a training.
        """
        _, height, width = image_shape
        low, high = (1 - EXAMPLE_BOX) / 2, (1 + EXAMPLE_BOX) / 2
        box = torch.tensor([[low * width, low * height, high * width, high * height]], device=self.device)
        label = torch.zeros(1, dtype=torch.long, device=self.device)
        pixels = torch.randint(256, (images, *image_shape), dtype=torch.uint8, device=self.device)
        if batch_norms(self.detector.backbone):
            take_statistics(self.detector.backbone, pixels, self._pass)
        return BoxBatch(list(pixels), [box] * images, [label] * images, list(range(images)))

    def trained_macs(self, image_shape: tuple[int, int, int], macs: int) -> int:
        """Multiply-adds of an image's forward pass in training, which has fewer regions than a test."""
        return complexity(self.detector, image_shape, training=True).macs

    def validation_step(self, batch: SizedImage, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Find objects in a test image."""
        with torch.autocast(self.device.type, enabled=False):
            self._found[batch.number] = found_in(self.detector, batch, self._data.test_set.images[batch.number])

    def test_step(self, batch: SizedImage, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Find objects in a test image."""
        self.validation_step(batch, batch_idx)

    def evaluation(self) -> dict[str, float]:
        """mAP at an IoU of 0.5, and over IoUs up to 0.95, by the rules of the data set; nothing without its truth."""
        found, self._found = self._gathered(), {}
        numbers, data = sorted(found), self._data
        if len(numbers) == len(data.test_set.images):
            self.found = self.global_step, [found[number] for number in numbers]
        if not numbers or not data.test_set.truth:
            return {}
        seen = data.test_set.part(numbers)
        if all(image.ignored.all() for image in seen.images):  # of the few that `fit --check` looks at
            return {}
        judged = JUDGES[data.source.judged](seen, [found[number] for number in numbers])
        row = {metrics.MAP50.name: judged.map50, metrics.MAP.name: judged.map}
        return {name: value for name, value in row.items() if value is not None}

    def _gathered(self) -> dict[int, Found]:
        """What all devices have found, by the number of the image."""
        if self.trainer.world_size == 1:
            return self._found
        of_devices: list[dict[int, Found]] = [{} for _ in range(self.trainer.world_size)]
        torch.distributed.all_gather_object(of_devices, self._found)
        return {number: found for part in of_devices for number, found in part.items()}

    @property
    def _data(self) -> BoxData:
        data = self.task_data
        assert isinstance(data, BoxData)  # a run's, of this task
        return data
