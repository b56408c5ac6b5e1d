"""Tasks, the kinds of runs: each names its module, its data and its metrics. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lit_resnet import metrics
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.metrics import Metric


@dataclass(frozen=True)
class Task:
    """A kind of run.

    Args:
        name: What a config says under `task`.
        module: What is trained, as `package.module:Class`: a child of `training.iterations.Iterations`, whose parameter
            `net` is a frozen dataclass that describes the net.
        data: What it is trained on, as `package.module:Class`: a LightningDataModule that is a
            `training.iterations.TaskData`.
        metrics: Its numbers while it trains: the columns of metrics.csv after `step`, in this order.
        headline: The final metric that runs are compared by: in `status`, on the page, in W&B, and by `odd`.
        judging: What judges its runs, as `package.module`, where it has protocols: `judge_last` at the end of a run;
            for the verb `evaluate` the function `rows`, the columns `COLUMNS`, the heading `TITLE` and the note `NOTE`.
        protocols: Ways to judge the last model, which a config may ask for under `evaluate`.
        judged: The numbers that each of these ways gives: an entry of evaluation.json has all but the optional ones.
        probes: Measurements of the last model, besides its parameters and arithmetic: names of `run.run.PROBES`.
        own_code: Keys of its config under which a dotted path may name code of a user's own.
        compared: Keys of `model.net` in which its runs may differ and still be compared, besides `sameness.COMPARED`.
    """

    name: str
    module: str
    data: str
    metrics: tuple[Metric, ...]
    headline: Metric
    judging: str = ""
    protocols: tuple[str, ...] = ()
    judged: tuple[Metric, ...] = ()
    probes: tuple[str, ...] = ()
    own_code: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()

    @property
    def final(self) -> tuple[Metric, ...]:
        """The metrics whose last values are the results of a run."""
        return tuple(metric for metric in self.metrics if metric.final)

    def knows(self, protocol: str) -> bool:
        """Whether it has that protocol; the name of a view may follow one: `coco+refined`."""
        return protocol.partition("+")[0] in self.protocols


CLASSIFICATION = Task(
    name="classification",
    module="lit_resnet.training.classifier:LitResNet",
    data="lit_resnet.data.module:ImageData",
    metrics=(
        metrics.TRAIN_LOSS,
        metrics.TRAIN_ERROR,
        metrics.LR,
        metrics.IMAGES_PER_SECOND,
        metrics.TEST_LOSS,
        metrics.TEST_ERROR,
        metrics.VAL_ERROR,
    ),
    headline=metrics.TEST_ERROR,
    judging="lit_resnet.run.evaluate",
    protocols=("center", "ten-crop", "multi-scale"),
    judged=(metrics.TOP1_ERROR, metrics.TOP5_ERROR),
    probes=("responses", "predictions", "blocks"),
    own_code=("data.source", "model.net.own"),
)
# Classification of images that somebody's own LightningDataModule prepares, of which no crops and scales are known.
OWN_DATA = replace(
    CLASSIFICATION,
    name="own-data",
    data="lit_resnet.data.own_module:OwnModule",
    protocols=(),
    own_code=("data.module", "model.net.own"),
)
DETECTION = Task(
    name="detection",
    module="lit_resnet.training.detector:LitDetector",
    data="lit_resnet.data.boxes.module:BoxData",
    metrics=(
        metrics.TRAIN_LOSS,
        metrics.RPN_CLASS_LOSS,
        metrics.RPN_BOX_LOSS,
        metrics.CLASS_LOSS,
        metrics.BOX_LOSS,
        metrics.REGION_ERROR,
        metrics.LR,
        metrics.IMAGES_PER_SECOND,
        metrics.MAP50,
        metrics.MAP,
    ),
    headline=metrics.MAP50,
    judging="lit_resnet.run.detect",
    protocols=("voc07", "voc10", "coco"),
    judged=(replace(metrics.MAP50, optional=False), metrics.MAP),  # PASCAL VOC's have no mean over IoUs
    probes=("detections",),
    compared=("family",),  # Tables 7 and 8 compare a ResNet with VGG-16
)
TASKS = {task.name: task for task in (CLASSIFICATION, OWN_DATA, DETECTION)}


def of(config: Mapping[str, Any]) -> Task:
    """The task of a config; classification where it names none.

    Raises:
        InputError: There is no such task.
    """
    name = config.get("task") or CLASSIFICATION.name
    if not isinstance(name, str) or name not in TASKS:
        near = did_you_mean(str(name), TASKS)
        raise InputError(f"task is {name!r}: write one of {', '.join(TASKS)}{near}")
    return TASKS[name]
