"""A net in a .safetensors file: its weights and the mean of its training images, and its card in the header."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.files import read_file
from lit_resnet.runfolder import card as cards
from lit_resnet.runfolder.card import KEY, Card
from lit_resnet.training.weights import is_mean

MEAN, NET = "mean", "net."  # the names of the tensors: that of the mean, and how those of the net begin


@dataclass(frozen=True, eq=False)
class NetFile:
    """What a file holds.

    Args:
        card: What there is to know of the net.
        weights: Its state dict, each name after `net.`; not checked against any net.
        mean: That of the training images, in levels: float32 [C, 1, 1] or [C, H, W].
        digest: SHA-256 of the file.
    """

    card: Card
    weights: dict[str, Tensor]
    mean: Tensor
    digest: str

    @property
    def checkpoint(self) -> dict[str, Any]:
        """As a checkpoint has them, for `net_weights`."""
        return {"net": self.card.summary.net, "state_dict": self.weights}


def content(card: Card, weights: dict[str, Tensor], mean: Tensor) -> bytes:
    """What the file of a net holds.

    Args:
        card: What there is to know of it.
        weights: The net's state dict.
        mean: As in `NetFile`.
    """
    tensors = {f"{NET}{name}": weight for name, weight in weights.items()} | {MEAN: mean}
    # Copies, since a file cannot say that two names share one tensor.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return safetensors.torch.save(tensors, {KEY: card.text()})


def read(path: Path) -> NetFile:
    """The content of a file.

    Raises:
        InputError: It is damaged, or no file of `lit-resnet export`.
    """
    card = cards.read(path)
    try:
        content = read_file(path)
        tensors = safetensors.torch.load(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception:  # torch has as many as there are impossible shapes in a header
        raise InputError(f"{path}: damaged; export the net again") from None
    mean, shape = tensors.pop(MEAN, None), card.images.image_shape
    if not is_mean(mean, shape[0], shape[1:]):
        raise InputError(f"{path}: has no mean for images of the shape {list(shape)}; export the net again")
    return NetFile(card, tensors, mean, hashlib.sha256(content).hexdigest())
