"""VGG-16 and VGG-19 (ref. [41]): the paper's plain nets follow their design, and it compares its errors with theirs."""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from lit_resnet.nets.config import NetConfig
from lit_resnet.nets.init import he_init

WIDTHS = (64, 128, 256, 512, 512)
HIDDEN = 4096  # units of the first two fully-connected layers
MAP = 7  # side of the last map of a 224x224 image, which the first fully-connected layer takes


class VGG(nn.Module):
    """VGG without BN, with dropout between the fully-connected layers.

    Attribute names are torchvision's, so that its published weights load.

    Attributes:
        channels: Of the map that `trunk` puts out, and of the features that `head` puts out.
        region: Side of the map of a region, from which a detector takes its features.
    """

    LAST_LAYER: ClassVar[str] = "classifier.6"
    region: ClassVar[int] = MAP

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        channels = [config.in_channels]
        layers: list[nn.Module] = []
        for width, convolutions in zip(WIDTHS, config.stages, strict=True):
            for c_in, c_out in pairwise(channels[-1:] + [width] * convolutions):
                layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2, stride=2))
            channels.append(width)
        self.features = nn.Sequential(*layers)
        self.channels = channels[-1], HIDDEN
        self.avgpool = nn.AdaptiveAvgPool2d(MAP)  # does nothing at 224x224
        self.classifier = nn.Sequential(
            *(nn.Linear(channels[-1] * MAP**2, HIDDEN), nn.ReLU(inplace=True), nn.Dropout()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(inplace=True), nn.Dropout()),
            nn.Linear(HIDDEN, config.num_classes),
        )
        self.apply(he_init)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] float images -> [N, num_classes] logits."""
        return self._classify(self.features(x))

    def trunk(self, x: Tensor) -> Tensor:
        """All convolutions: images [N, C, H, W] -> maps [N, 512, H / 16, W / 16]."""
        return self.features[:-1](x)

    def head(self, maps: Tensor) -> Tensor:
        """The first two fully-connected layers: maps of 7x7, from the last pool or RoI pooling -> [N, 4096]."""
        return self.classifier[:-1](torch.flatten(maps, 1))

    def parts(self) -> list[list[nn.Module]]:
        """The convolutions of `trunk` between two pools: conv1_x to conv5_x."""
        stages: list[list[nn.Module]] = [[]]
        for layer in self.features[:-1]:
            stages[-1].append(layer)
            if isinstance(layer, nn.MaxPool2d):
                stages.append([])
        return stages

    def dense(self, x: Tensor, window: int) -> Tensor:
        """The fully-convolutional form; see `ResNet.dense`."""
        windows = self.features(x).unfold(2, window, 1).unfold(3, window, 1)  # [N, C, h, w, window, window]
        n, _, h, w = windows.shape[:4]
        logits = self._classify(windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
        return logits.view(n, h, w, -1).movedim(-1, 1)

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """None: the responses of Fig. 7 are those of BN, which it lacks."""
        return iter(())

    def _classify(self, maps: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(maps), 1))
