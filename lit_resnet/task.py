"""What a run can be about: each task names one thing in each room of the house. Imports none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lit_resnet import metrics
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.metrics import Metric


@dataclass(frozen=True)
class Task:
    """A kind of run.

    Args:
        name: What a config says under `task`.
        metrics: What is measured while it trains: the columns of metrics.csv after `step`, in this order.
        headline: The final metric that runs are compared by: in `status`, on the page, in W&B, and by `odd`.
    """

    name: str
    metrics: tuple[Metric, ...]
    headline: Metric

    @property
    def final(self) -> tuple[Metric, ...]:
        """Those whose last values are the results of a run."""
        return tuple(metric for metric in self.metrics if metric.final)


CLASSIFICATION = Task(
    name="classification",
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
)
TASKS = {task.name: task for task in (CLASSIFICATION,)}


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
