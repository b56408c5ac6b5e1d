"""Weights of a net, from a checkpoint."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lit_resnet.errors import InputError


def load_weights(net: nn.Module, path: Path) -> None:
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


def net_weights(net: nn.Module, checkpoint: dict[str, Any]) -> dict[str, Tensor]:
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
