"""Nets to judge: the newest checkpoint of a run folder, a file of torchvision's weights, a file or name of the zoo."""

import hashlib
import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lit_resnet import task
from lit_resnet.data.class_names import check_classes
from lit_resnet.data.module import ImageData
from lit_resnet.data_sets import EMBEDDED
from lit_resnet.errors import InputError
from lit_resnet.evaluation.images import TestImages
from lit_resnet.evaluation.judge import Judged
from lit_resnet.moved import check_keys
from lit_resnet.nested import value_at
from lit_resnet.nets import Net, build
from lit_resnet.own_code import check_named
from lit_resnet.run.config import RunCLI
from lit_resnet.runfolder import zoo
from lit_resnet.runfolder.card import SUFFIX
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.zoo import located
from lit_resnet.training import net_file
from lit_resnet.training.checkpoints import newest_checkpoint
from lit_resnet.training.iterations import TaskData
from lit_resnet.training.published import read_published
from lit_resnet.training.weights import is_mean, net_weights, read_weights

NET_KEYS = ("net", "detector")  # of a config's `model`: all that says what the net is


def model(given: Path, root: Path | None = None) -> Judged:
    """A trained net, and what it is judged on.

    Args:
        given: The folder of a run, a file of torchvision's or of `lit-resnet export`, or a name of the model zoo.
        root: The folder of the images; None for the one in the run's config. A file needs it, unless it is of digits.

    Raises:
        InputError: There is no such net there, or its files or images are missing or damaged.
    """
    path = located(given)
    if path.is_file():
        return of_net_file(path, given, root) if path.suffix == SUFFIX else published(path, root)
    return of_run(RunFolder(path), root)


def of_run(folder: RunFolder, root: Path | None = None) -> Judged:
    """The net of a run's newest checkpoint.

    Raises:
        InputError: No run, no whole checkpoint, weights of another net, or images that are missing or damaged.
    """
    data, net = untrained(folder, {"root": str(root)} if root else {})
    if not isinstance(data, ImageData):
        command = f"lit-resnet test --config {folder.config_file} --ckpt_path {folder.checkpoints / 'last.ckpt'}"
        raise InputError(f"{folder.path}: its images are prepared by code of your own; judge it by {command}")
    assert isinstance(net, Net)  # as those of the tasks with such data are
    checkpoint, digest = load_newest(folder, net)
    state = checkpoint.get("data")
    if not isinstance(state, dict):  # a checkpoint of another program: compute the mean of the training images
        data.setup("test")
    mean = _checked(state.get("mean") if isinstance(state, dict) else data.mean, data, folder.checkpoints)
    check_trained_on(data, checkpoint)
    images = TestImages(data)
    return Judged(place(folder, images.digest, bool(root)), net, mean, digest, images)


def of_net_file(path: Path, given: Path, root: Path | None) -> Judged:
    """The net in a file of `lit-resnet export`.

    What it says is kept beside the file; of a net of the zoo, whose folder may not be ours to write in, below `runs`.

    Args:
        path: The file.
        given: It, or the name of the zoo that means it.
        root: As for `model`.

    Raises:
        InputError: The file is damaged or of another version, or the images are missing or damaged.
    """
    found = net_file.read(path)
    summary = found.card.summary
    if root is None and value_at(summary.config, "data.source") not in EMBEDDED:
        raise InputError(f"{given}: its images are not in the file ({summary.data}); give their folder with --data")
    config = {**summary.config, "task": summary.task}
    data, net = from_config(config, path, {"root": str(root)} if root else {})
    if not isinstance(data, ImageData):  # as no file of ours has
        raise InputError(f"{given}: its images are prepared by code of its own, which is not in the file")
    assert isinstance(net, Net)
    net.load_state_dict(net_weights(net, found.checkpoint, path))
    check_classes(data.classes, found.card.images.classes, str(data.name))
    images, mean = TestImages(data), _checked(found.mean, data, path)
    shipped = path in zoo.shipped().values()
    kept = Path("runs", "zoo", f"{path.stem}.evaluation") if shipped else Path(f"{path}.evaluation")
    folder = own_or_elsewhere(RunFolder(kept), images.digest, summary.test_images, named=True)
    return Judged(folder, net, mean, found.digest, images)


def check_trained_on(data: TaskData, checkpoint: dict[str, Any]) -> None:
    """Refuse data whose classes are not those that the net of a checkpoint was trained on, as far as it says them.

    Raises:
        InputError: With the first one.
    """
    kept, classes = checkpoint.get("data"), getattr(data, "classes", None)  # a task may have none
    if classes is not None and isinstance(kept, dict):
        check_classes(classes, kept.get("classes"), data.name)


def _checked(mean: Any, data: ImageData, where: Path) -> Tensor:
    """What the file `where` has as the mean of these images.

    Raises:
        InputError: It is not.
    """
    if not is_mean(mean, data.in_channels, data.image_shape[1:]):
        raise InputError(f"{where}: the mean in the checkpoint is not one of these images")
    return mean


def place(folder: RunFolder, images: str, named: bool) -> RunFolder:
    """Where what a run's net says of test images is kept: the run's folder, or for others than its own one below it.

    The run's own are those that it was tested on at its end, which its tables are about; before, those of its config.

    Args:
        folder: The run's folder.
        images: The digest of the test images.
        named: Whether the user has said where they are.
    """
    summary = folder.summary()
    return own_or_elsewhere(folder, images, summary and summary.test_images, named)


def own_or_elsewhere(folder: RunFolder, images: str, known: str | None, named: bool) -> RunFolder:
    """As `place`, where `known` is the digest of the net's own test images, or None."""
    if images == known or not (named or known):
        return folder
    other = RunFolder(folder.path / "elsewhere" / images[:12])
    print(f"{folder.path}: other test images than the run's own; see {other.path}", file=sys.stderr)
    return other


def untrained(folder: RunFolder, other: dict[str, Any] | None = None) -> tuple[TaskData, nn.Module]:
    """The data of a run, not loaded, and its net with fresh weights.

    Args:
        folder: The run's folder.
        other: Values of `data` in place of those in its config.

    Raises:
        InputError: No run, a config that is not one of this version, or one that names code which is not imported.
    """
    return from_config(folder.config(), folder.config_file, other or {})


def from_config(config: dict[str, Any], where: Path, other: dict[str, Any]) -> tuple[TaskData, nn.Module]:
    """The data of a config, not loaded, and its net with fresh weights.

    Args:
        config: The config.
        where: The file that it is in, for errors.
        other: Values of `data` in place of those in it.

    Raises:
        InputError: As `untrained`.
    """
    check_keys(config, where)
    if not isinstance(config.get("model"), dict) or not isinstance(config.get("data"), dict):
        raise InputError(f"{where}: not the config of a run (it has no model or no data)")
    # Only these: the rest of a config can name any class to import, and the folder may come from elsewhere.
    model = {key: value for key, value in config["model"].items() if key in NET_KEYS}
    used = {"model": model, "data": config["data"] | other}
    used |= {"task": config["task"]} if "task" in config else {}
    for key in task.of(used).own_code:
        check_named(value_at(used, key), str(where))
    cli = RunCLI(used)
    return cli.data(), cli.module().net


def published(path: Path, root: Path | None) -> Judged:
    """A net in a file that torchvision publishes, such as `resnet50-0676ba61.pth`; judged on ImageNet.

    It may have other classes than ImageNet's, as many as the images have.

    Raises:
        InputError: It is not a state dict of such a net, `root` is not given, or its images are not for that net.
    """
    if root is None:
        raise InputError(f"{path}: weights alone do not say what images they are for; give the folder with --data")
    found = read_published(path)
    data = ImageData(source="imagenet", root=str(root))
    if data.num_classes != found.net.num_classes:
        raise InputError(f"{path}: is for {found.net.num_classes} classes, but {root} has {data.num_classes}")
    net = build(found.net)
    net.load_state_dict(found.weights)
    return Judged(RunFolder(f"{path}.evaluation"), net, found.mean, found.digest, TestImages(data))


def load_newest(folder: RunFolder, net: nn.Module) -> tuple[dict[str, Any], str]:
    """Load the weights of a run's newest checkpoint into its net.

    Returns:
        The checkpoint, and the SHA-256 of its file.

    Raises:
        InputError: The run has no whole checkpoint, or that of another net.
    """
    checkpoint, digest = read_weights(newest(folder))
    net.load_state_dict(net_weights(net, checkpoint, folder.path))
    return checkpoint, digest


def checkpoint_digest(folder: RunFolder) -> str:
    """SHA-256 of a run's newest checkpoint.

    Raises:
        InputError: It has none.
    """
    with newest(folder).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def newest(folder: RunFolder) -> Path:
    """The newest whole checkpoint of a run.

    Raises:
        InputError: It has none, or none that can be read.
    """
    path = newest_checkpoint(folder)
    if path is None:
        raise InputError(f"{folder.checkpoints}: no whole checkpoint here; only trained nets can be judged")
    return path
