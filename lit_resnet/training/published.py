"""Weights of ImageNet nets as torchvision publishes them: which net they are of, and what its images are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.nets.config import IMAGENET_BLOCKS, VGG_CONVOLUTIONS
from lit_resnet.training.weights import read_weights

# What torchvision subtracts from RGB images in [0, 1], and divides by.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
COUNTS = "num_batches_tracked"  # BN's counts of batches, which early files lack and nothing needs


@dataclass(frozen=True)
class Published:
    """A file that torchvision publishes.

    Args:
        net: The net; it may have other classes than ImageNet's.
        weights: All its weights by their names, for images of which the mean is subtracted and 255 levels are 1.
        mean: That of the images, in levels: [3, 1, 1].
        digest: SHA-256 of the file.
    """

    net: NetConfig
    weights: dict[str, Tensor]
    mean: Tensor
    digest: str


def read_published(path: Path) -> Published:
    """Read such a file. The names and shapes of the weights tell which net it is.

    Torchvision divides images by a standard deviation; here the weights of the first layer are divided by it instead,
    which gives the same outputs.

    Raises:
        InputError: It is not a state dict of such a net.
    """
    weights, digest = read_weights(path)
    net = recognised(path, weights)
    first = "features.0.weight" if net.family == "vgg" else "conv1.weight"
    weights[first] = weights[first] / torch.tensor(STD)[:, None, None]
    with torch.device("meta"):
        names = build(net).state_dict()
    weights = {name: weights[name] if name in weights else torch.tensor(0) for name in names}
    return Published(net, weights, 255 * torch.tensor(MEAN)[:, None, None], digest)


def recognised(path: Path, weights: dict[str, Any]) -> NetConfig:
    """The net of torchvision's whose names and shapes a state dict has.

    Raises:
        InputError: There is none.
    """
    given = _shapes(weights)
    last = given.get("fc.weight") or given.get("classifier.6.weight") or ()
    for config in _candidates(last[0]) if last else ():
        with torch.device("meta"):
            wanted = _shapes(build(config).state_dict())
        if given == wanted:
            return config
    raise InputError(
        f"{path}: not a state dict of torchvision's resnet18, 34, 50, 101, 152, vgg16 or vgg19 (without BN); "
        "write such a file, or a run folder"
    )


def _candidates(num_classes: int) -> Iterator[NetConfig]:
    for depth in IMAGENET_BLOCKS:
        yield NetConfig("imagenet", depth, "B", stride_on="3x3", num_classes=num_classes)
    for depth in VGG_CONVOLUTIONS:
        yield NetConfig("vgg", depth, "none", num_classes=num_classes)


def _shapes(weights: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(weight.shape)
        for name, weight in weights.items()
        if isinstance(weight, Tensor) and not name.endswith(COUNTS)
    }
