"""A net in a .safetensors file: its weights and the mean of its training images, and its card in the header."""

import hashlib
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.files import open_file
from lit_resnet.runfolder import card as cards
from lit_resnet.runfolder.card import KEY, Card

MEAN = "mean"


def content(card: Card, weights: dict[str, Tensor], mean: Tensor) -> bytes:
    """What the file of a net holds.

    Args:
        card: What there is to know of it.
        weights: The net's state dict.
        mean: That of the training images, in levels: float32 [C, 1, 1] or [C, H, W].
    """
    tensors = {f"net.{name}": weight for name, weight in weights.items()} | {MEAN: mean}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(tensors, {KEY: card.text()})


def read(path: Path) -> tuple[Card, dict[str, Any], str]:
    """The card of a file, its content in the form of a checkpoint, and its SHA-256.

    Raises:
        InputError: It is damaged, or no file of `lit-resnet export`.
    """
    card = cards.read(path)
    try:
        with open_file(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        tensors = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    mean = tensors.pop(MEAN, None)
    kept = {
        "mean": mean,
        "classes": list(card.images.classes),
        "image_shape": list(card.images.image_shape),
        "short_side": card.images.short_side,
    }
    return card, {"net": card.summary.net, "state_dict": tensors, "data": kept}, digest
