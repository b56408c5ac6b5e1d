"""Weights of a net, from a checkpoint, which may come from strangers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, TypeGuard

import torch
from torch import Tensor, nn

from lit_resnet.errors import InputError, shown
from lit_resnet.files import open_file
from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.own_code import check_named
from lit_resnet.runfolder.summary import Summary


def load_weights(net: nn.Module, path: Path) -> dict[str, Any]:
    """Load the net's weights from a checkpoint of a run.

    Returns:
        The checkpoint.

    Raises:
        InputError: The file is no checkpoint, or one of another net.
    """
    try:
        with open_file(path) as file:
            checkpoint = read_torch(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint that can be read ({reason(error)})") from None
    net.load_state_dict(net_weights(net, checkpoint, path))
    return checkpoint


def fresh_net(summary: Summary, where: Path, device: str = "cpu") -> Net:
    """The net that a summary is of, with fresh weights.

    Args:
        summary: The summary.
        where: Its file, for the error.
        device: Where the net is built; on `meta` it has no weights.

    Raises:
        InputError: It is no net that classifies whole images, or one of code that is not imported.
    """
    try:
        config = NetConfig(**summary.net_config)
        check_named(config.own, str(where))
        with torch.device(device):
            return build(config)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: not the net of a classification run ({error})") from None


def is_mean(value: Any, channels: int, sides: Sequence[int] | None = None) -> TypeGuard[Tensor]:
    """Whether a value is the mean of images: float32, finite, [C, 1, 1], or [C, H, W] of images seen whole.

    Args:
        value: The value, which may come from strangers.
        channels: C.
        sides: (H, W); None where any will do.
    """
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.ndim != 3 or len(value) != channels:
        return False
    return bool(value.isfinite().all()) and (sides is None or tuple(value.shape[1:]) in ((1, 1), tuple(sides)))


def check_converged(summary: Summary, where: Path | str) -> None:
    """Refuse a run that has diverged.

    Raises:
        InputError: It has.
    """
    if summary.diverged:
        raise InputError(f"{where}: has diverged, so that its weights are no numbers; write another run")


def read_weights(path: Path) -> tuple[dict[str, Any], str]:
    """The mapping in a file of torch's, and the file's SHA-256.

    Raises:
        InputError: It is not such a file, or it holds more than tensors and plain values.
    """
    try:
        with open_file(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return read_torch(file), digest
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not weights that can be read ({reason(error)}): write a run folder, a state dict as torchvision "
            "publishes them, or a .safetensors file"
        ) from None


def read_torch(file: IO[bytes] | Path, mmap: bool = False) -> dict[str, Any]:
    """The mapping in a file of torch's, on the CPU; with `mmap`, whose file is a path, no tensor is read yet.

    Raises:
        ValueError: The file is damaged, or holds more than tensors and plain values. torch's own words are not passed
            on: they advise to load the file all the same, which would run its code.
        OSError: The file cannot be read.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError:
        raise
    except Exception:  # torch.load has as many as there are ways to damage a file
        raise ValueError("damaged, or with more in it than tensors and plain values") from None
    if not isinstance(content, dict):
        raise ValueError("it holds no mapping")
    return content


def reason(error: Exception) -> str:
    """Why a file was not read, in words."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def net_weights(net: nn.Module, checkpoint: dict[str, Any], where: Path | None = None) -> dict[str, Tensor]:
    """The weights of `net` in a checkpoint of it: name for name and shape for shape its own.

    Shapes alone do not tell: a plain net has those of the residual net with option A.

    Args:
        net: The net.
        checkpoint: The checkpoint.
        where: The file or run folder that it is from, for the error; None where that is not known.

    Raises:
        InputError: The checkpoint is of another net; with its name, or the first weight that differs.
    """
    place = f"{where}: " if where else ""
    given = checkpoint.get("state_dict")
    if not isinstance(given, dict) or not all(isinstance(weight, Tensor) for weight in given.values()):
        raise InputError(f"{place}the checkpoint holds no weights: give one that lit-resnet has written")
    weights = {name.removeprefix("net."): weight for name, weight in given.items() if str(name).startswith("net.")}
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in weights.items()}
    origin, here = checkpoint.get("net", "another program"), str(net.config)
    differing = next((name for name in wanted | there if wanted.get(name) != there.get(name)), None)
    if differing is None and origin in (here, "another program"):
        return weights
    how = ""
    if differing is not None:
        shapes = there.get(differing, "missing"), wanted.get(differing, "unknown")
        how = ": weight {} is {} there and {} here".format(differing, *shapes)
    raise InputError(
        f"{place}the checkpoint is of {shown(origin)}, not of {here}{how}; give the net that it is of, or move it away"
    )
