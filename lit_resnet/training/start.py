"""Weights that a run starts from (`model.start`): of a finished run, or of a file of torchvision's or of ours."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.nets import Net, NetConfig
from lit_resnet.runfolder.card import SUFFIX
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.start import located_weights, weights_file
from lit_resnet.runfolder.started import Started
from lit_resnet.runfolder.summary import Summary
from lit_resnet.training import net_file
from lit_resnet.training.published import read_published
from lit_resnet.training.weights import check_converged, fresh_net, is_mean, net_weights, read_weights


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
        config: What the run was trained with, as `Summary.config` has it; empty for a file of torchvision's.
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
        """The weights for a net of the same kind; without those of its last layer if that has other shapes, or none.

        Raises:
            InputError: They are of another net; with both names, or the first weight that differs.
        """
        wanted = {name: tuple(weight.shape) for name, weight in net.state_dict().items()}
        there = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        last = [
            {name: shape for name, shape in shapes.items() if name.startswith(f"{net.LAST_LAYER}.")}
            for shapes in (wanted, there)
        ]
        if net.LAST_LAYER and last[0] != last[1]:
            wanted = {name: shape for name, shape in wanted.items() if name not in last[0]}
            there = {name: shape for name, shape in there.items() if name not in last[1]}
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
        path: The folder of a finished run; a file of weights as torchvision publishes them, or one of
            `lit-resnet export`; or the name of a net of the model zoo.

    Raises:
        InputError: There is none, the run is not finished or has diverged, or its files are damaged or hold more than
            tensors and plain values.
    """
    try:
        file, place = weights_file(path), located_weights(path)
        if place.is_dir():
            return _of_run(path, RunFolder(place), file)
        return _of_net_file(path, file) if file.suffix == SUFFIX else _of_published(path, file)
    except InputError as error:
        raise InputError(f"model.start: {error}") from None


def _of_published(path: str, file: Path) -> Start:
    found = read_published(file)
    return Start(path, found.net, found.weights, found.digest, found.mean, "imagenet", {})


def _of_net_file(path: str, file: Path) -> Start:
    found = net_file.read(file)
    summary = found.card.summary
    net, weights = _checked(path, summary, file, found.checkpoint, file)
    return Start(path, net, weights, found.digest, found.mean, summary.data, summary.config)


def _of_run(path: str, run: RunFolder, file: Path) -> Start:
    summary = run.summary()
    assert summary is not None  # as `weights_file` has seen
    checkpoint, digest = read_weights(file)
    net, weights = _checked(path, summary, run.summary_file, checkpoint, file)
    kept = checkpoint.get("data")
    mean = kept.get("mean") if isinstance(kept, dict) else None
    if mean is not None and not is_mean(mean, net.in_channels):
        raise InputError(f"{file}: the mean in it is not one of images with {net.in_channels} channels")
    return Start(path, net, weights, digest, mean, summary.data, summary.config)


def _checked(
    path: str, summary: Summary, said: Path, checkpoint: dict[str, Any], file: Path
) -> tuple[NetConfig, dict[str, Tensor]]:
    """The net that a summary, which is in `said`, names, and its weights in a checkpoint, which is in `file`."""
    check_converged(summary, path)
    net = fresh_net(summary, said, "meta")
    return net.config, net_weights(net, checkpoint, file)
