"""What a finished run says of itself: summary.json, which is written last."""

import math
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from lit_resnet.errors import shown
from lit_resnet.metrics import FLOAT32, Metric
from lit_resnet.nested import mapping_at, value_at
from lit_resnet.runfolder import started
from lit_resnet.runfolder.started import Started
from lit_resnet.task import TASKS, Task, of

MOST = 10**18  # of a whole number
# What reports read of a net's config, where it says so, with the types. Other keys are for the net alone.
NET: dict[str, type | tuple[type, ...]] = {
    "family": str,
    "depth": int,
    "shortcut": str,
    "block": str,
    "gate": str,
    "gate_value": (float, int, type(None)),
    "order": str,
    "stride_on": str,
    "num_classes": int,
    "in_channels": int,
}


# Fields that a config says, too, with their keys there.
SAID = {
    "seed": "seed_everything",
    "steps": "trainer.max_steps",
    "batch_size": "data.batch_size",
    "warmup_lr": "model.rate.warmup_lr",
}
PARSED = ("metrics", "start")  # fields that `parse` makes of more than one value
FROM_1 = {"low": 1}  # of a field of numbers; the others begin at 0


@dataclass(frozen=True)
class Summary:
    """A finished run. In the file, the metrics stand beside the other fields, by their names.

    Args:
        net: Name of the net: `ResNet-56`.
        net_config: What the net was built from.
        data: Name of the data set.
        metrics: The last value of each of the task's final metrics, by name; None for an optional one that was not
            measured.
        params: Parameters of the net.
        macs: Multiply-adds of its convolutions and fully-connected layers, for one image.
        steps: Iterations of the training.
        batch_size: Images of an iteration, over all devices.
        setting: Digest of all that must be equal for runs to be compared (`sameness.setting`).
        wall_seconds: Seconds of training, all attempts together.
        task: Name of the task.
        config: What the run was trained with, nested as in its config.yaml: the values of `model` and `data`, and
            those of `trainer` that are not null. Empty in folders of earlier versions, which do not have it.
        seed: Seed of weights and data.
        precision: Number format of the training, as Lightning names it.
        warmup_lr: Learning rate of the warm-up; None where there was none.
        warmup_steps: Iteration at which the warm-up ended; None where it did not, or there was none.
        plateaus: Iterations at which the learning rate was divided because the error had reached a plateau.
        diverged: Whether the last training loss, or one of the metrics, is no number.
        test_images: Digest of the images that the run was tested on.
        damaged_images: Images that could not be read, and were left out.
        degenerate_boxes: Boxes without width or height, which were left out.
        images_per_second: Median over the logging windows; None where no window was timed.
        peak_memory_bytes: Peak bytes, of the GPU's memory or else of the process.
        device: The device in words.
        host: Name of the machine.
        finished: When it was finished, in ISO 8601.
        versions: Versions of the packages, by their names.
        git_commit: Commit of the checkout; None where the package was not run from one.
        git_dirty: Whether files of the checkout differed from that commit; None as above. The run folder's diff.patch
            has the difference.
        own_git_commit: Commit of the user's checkout that the run was made in, where that is another one.
        own_git_dirty: Whether its Python files differed from that; own-diff.patch has the difference.
        code: Digest of the package's modules (`provenance.code`).
        start: The weights that it started from; None where they were fresh.
    """

    net: str
    net_config: dict[str, Any]
    data: str
    metrics: dict[str, float | None]
    params: int
    macs: int
    steps: int = field(metadata=FROM_1)
    batch_size: int = field(metadata=FROM_1)
    setting: str
    wall_seconds: float
    task: str
    config: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    precision: str | None = None
    warmup_lr: float | None = None
    warmup_steps: int | None = None
    plateaus: tuple[int, ...] = ()
    diverged: bool = False
    test_images: str | None = None
    damaged_images: int = 0
    degenerate_boxes: int = 0
    images_per_second: float | None = None
    peak_memory_bytes: int | None = None
    device: str | None = None
    host: str | None = None
    finished: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    git_dirty: bool | None = None
    own_git_commit: str | None = None
    own_git_dirty: bool | None = None
    code: str | None = None
    start: Started | None = None

    @property
    def kind(self) -> Task:
        """Its task."""
        return TASKS[self.task]

    @property
    def results(self) -> str:
        """Its final metrics in words: `train error 0.50 %, test error 8.50 %`."""
        known = [m for m in self.kind.final if not m.optional or self.metrics[m.name] is not None]
        return ", ".join(metric.words(self.metrics[metric.name]) for metric in known)

    @property
    def origin(self) -> str:
        """The code that made it, in words: `commit 3dcc885+changes`, or the version where no commit is known."""
        version = self.versions.get("lit-resnet", "")
        if self.git_commit is None:
            return version and f"version {version}"
        return f"commit {self.git_commit[:7]}{'+changes' if self.git_dirty else ''}"

    def content(self) -> dict[str, Any]:
        """What its file holds."""
        content: dict[str, Any] = asdict(self) | {"plateaus": list(self.plateaus)}
        return content | content.pop("metrics")

    def contradiction(self, config: dict[str, Any]) -> str:
        """The first value that differs from what a config says, with both; the empty string where there is none.

        Args:
            config: Nested mappings; complete, or what a grid says of the run.
        """
        said: dict[str, Any] = {"task": of(config).name}
        said |= {name: value_at(config, key) for name, key in SAID.items()}
        found: dict[str, Any] = {name: getattr(self, name) for name in said}
        net = mapping_at(config, "model.net")
        if self.net_config.get("own") is not None:  # of a net of one's own the other keys say nothing
            net = {key: net.get(key) for key in ("own", "own_args")}
        said |= {f"net_config.{key}": value for key, value in net.items()}
        found |= {f"net_config.{key}": value for key, value in self.net_config.items()}
        for name, value in said.items():
            if value is not None and name in found and found[name] != value and str(found[name]) != str(value):
                return f"{name} {shown(found[name])}, not {shown(value)}"
        return ""


def trained_with(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a complete config that a summary keeps, so that a report of many runs reads no config.yaml."""
    kept = {key: config[key] for key in ("model", "data", "trainer") if isinstance(config.get(key), dict)}
    if "trainer" in kept:  # it has forty keys, most of them null
        kept["trainer"] = {key: value for key, value in kept["trainer"].items() if value is not None}
    return kept


# Which keys the first version of summary.json had beside the others, in place of `net_config`.
_FORMER = ("family", "depth", "shortcut")


def parse(content: dict[str, Any]) -> Summary:
    """The summary that a file holds. Unknown keys are ignored; a whole number becomes a float where one is meant.

    Raises:
        ValueError: What is wrong with it.
    """
    if "net_config" not in content and all(key in content for key in _FORMER):
        raise ValueError("written by an earlier version, without net_config")
    values = {}
    for name, (kind, low) in _kinds().items():
        if name in content:
            values[name] = _as(kind, name, content[name])
            for number in values[name] if isinstance(values[name], tuple) else [values[name]]:
                if isinstance(number, int | float) and not low <= number <= (MOST if type(number) is int else FLOAT32):
                    raise ValueError(f"damaged ({name} is {shown(number)})")
        elif name in _needed():
            raise ValueError(f"damaged ({name} is missing)")
    if values["task"] not in TASKS:
        raise ValueError(f"of an unknown task, {shown(values['task'])} (known: {', '.join(TASKS)})")
    low = 0 if values["net_config"].get("own") else 1  # a net of one's own has no depth
    for key, value in values["net_config"].items():
        kind = NET.get(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if kind and (type(value) not in kinds or (kind is int and not low <= value <= MOST)):
            raise ValueError(f"damaged (net_config.{key} is {shown(value)})")
    values["start"] = started.parse(content.get("start"))
    diverged = values.get("diverged", False)
    metrics = {
        metric.name: _metric(metric, content.get(metric.name), diverged) for metric in TASKS[values["task"]].final
    }
    return Summary(**values, metrics=metrics)


def _metric(metric: Metric, given: Any, diverged: bool) -> float | None:
    """The last value of a metric; one that is no number only where the run diverged."""
    value = _as(float | None if metric.optional else float, metric.name, given)
    if not metric.possible(value) or not (value is None or diverged or math.isfinite(value)):
        raise ValueError(f"damaged ({metric.name} is {shown(value)})")
    return value


@cache
def _needed() -> tuple[str, ...]:
    """The fields that have no default."""
    return tuple(f.name for f in fields(Summary) if f.default is MISSING and f.default_factory is MISSING)


@cache
def _kinds() -> dict[str, tuple[Any, float]]:
    """The type of each field that holds a value of JSON, and the least number in it."""
    hints = get_type_hints(Summary)
    return {f.name: (hints[f.name], f.metadata.get("low", 0)) for f in fields(Summary) if f.name not in PARSED}


def _as(kind: Any, name: str, value: Any) -> Any:
    """A value of JSON as that type, or one of a union."""
    for one in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        origin = get_origin(one) or one
        if origin is float and (type(value) is float or (type(value) is int and abs(value) <= MOST)):
            return float(value)
        if origin is tuple and isinstance(value, list) and all(type(item) is int for item in value):
            return tuple(value)
        if type(value) is origin:
            return value
    raise ValueError(f"damaged ({name} is {shown(value)})")
