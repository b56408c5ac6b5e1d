"""Weights that a run starts from (`model.start`): read from a finished run, or from a file of torchvision's."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.own_code import check_named
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.start import weights_file
from lit_resnet.runfolder.started import Started
from lit_resnet.training.published import read_published
from lit_resnet.training.weights import net_weights, read_weights


@dataclass(frozen=True)
class Start:
    """Weights of a trained net, and what there is to know of them.

    Args:
        path: Where they were, as the config says it: a run folder, or a file.
        net: The net that they are of, with the classes that it was trained on.
        weights: All of them, float32 on the CPU, by the names of that net: `conv1.weight`, `layer1.0.bn1.running_var`,
            `features.0.weight`, `fc.weight`, ... For images of which the mean is subtracted and 255 levels are 1.
        digest: SHA-256 of the file that they were in.
        mean: That of the images that they were trained on, in levels: float32 [C, 1, 1], or [C, H, W] of small images.
            None of a run whose images somebody's own code prepared.
        data: Name of the data set that they were trained on.
        config: What the run was trained with, as `Summary.config` has it; empty for a file.
    """

    path: str
    net: NetConfig
    weights: dict[str, Tensor]
    digest: str
    mean: Tensor | None
    data: str
    config: dict[str, Any]

    @property
    def started(self) -> Started:
        """What a run that starts from them keeps of them."""
        return Started(self.digest, str(self.net), self.path)

    def of(self, net: Net) -> dict[str, Tensor]:
        """The weights for a net of the same kind; without those of its last layer if it has another number of classes.

        Raises:
            InputError: They are of another net; with both names, or the first weight that differs.
        """
        wanted = {name: tuple(weight.shape) for name, weight in net.state_dict().items()}
        there = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        if net.LAST_LAYER and net.config.num_classes != self.net.num_classes:
            wanted, there = (
                {name: shape for name, shape in shapes.items() if not name.startswith(f"{net.LAST_LAYER}.")}
                for shapes in (wanted, there)
            )
        same = str(net.config) == str(replace(self.net, num_classes=net.config.num_classes))
        differing = next((name for name in wanted | there if wanted.get(name) != there.get(name)), None)
        if same and differing is None:
            return {name: self.weights[name] for name in wanted}
        how = ""
        if same and differing is not None:
            shapes = there.get(differing, "missing"), wanted.get(differing, "unknown")
            how = ": weight {} is {} there and {} here".format(differing, *shapes)
        raise InputError(
            f"model.start: {self.path} has the weights of {self.net}, not of {net.config}{how}; write a run of "
            f"{net.config}, or null for fresh weights"
        )


def start_weights(path: str) -> Start:
    """Read the weights that `model.start` names.

    Args:
        path: The folder of a finished run, or a file of weights as torchvision publishes them.

    Raises:
        InputError: There is none, the run is not finished or has diverged, or its files are damaged or hold more than
            tensors and plain values.
    """
    try:
        place = Path(path).expanduser()
        file = weights_file(place)
        return _of_run(path, RunFolder(place), file) if place.is_dir() else _of_file(path, file)
    except RuntimeError:
        raise InputError(f"model.start is {path}: there is no such user; write a path") from None
    except InputError as error:
        raise InputError(f"model.start: {error}") from None


def _of_file(path: str, file: Path) -> Start:
    found = read_published(file)
    return Start(path, found.net, found.weights, found.digest, found.mean, "imagenet", {})


def _of_run(path: str, run: RunFolder, file: Path) -> Start:
    summary = run.summary()
    assert summary is not None  # as `weights_file` has seen
    if summary.diverged:
        raise InputError(f"{run.path}: has diverged, so that its weights are no numbers; write another run")
    try:
        config = NetConfig(**summary.net_config)
        check_named(config.own, str(run.summary_file))
        with torch.device("meta"):
            net = build(config)
    except (TypeError, ValueError) as error:
        raise InputError(f"{run.summary_file}: not the net of a classification run ({error})") from None
    checkpoint, digest = read_weights(file)
    try:
        weights = net_weights(net, checkpoint)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    kept = checkpoint.get("data")
    mean = kept.get("mean") if isinstance(kept, dict) else None
    if mean is not None and not _is_mean(mean, config.in_channels):
        raise InputError(f"{file}: the mean in it is not one of images with {config.in_channels} channels")
    return Start(path, config, weights, digest, mean, summary.data, summary.config)


def _is_mean(mean: Any, channels: int) -> bool:
    known = isinstance(mean, Tensor) and mean.dtype == torch.float32 and mean.ndim == 3
    return known and len(mean) == channels and bool(mean.isfinite().all())
