"""Plain and residual nets: a stem, stages of blocks, global average pooling and one fully-connected layer."""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_resnet.nets.blocks import Block, activation, layers_of
from lit_resnet.nets.config import NetConfig
from lit_resnet.nets.init import he_init
from lit_resnet.nets.memory import recomputed
from lit_resnet.nets.orders import ORDERS

WIDTHS = {"cifar": (16, 32, 64), "imagenet": (64, 128, 256, 512)}  # filters of the stages


class ResNet(nn.Module):
    """A plain or residual net of Table 1 (`imagenet`) or Sec. 4.2 (`cifar`).

    With `recompute` set it trains in far less memory, for a third more arithmetic.

    Attributes:
        channels: Of the map that `trunk` puts out, and of the features that `head` puts out.
        region: Side of the map of a region, from which a detector takes its features (Appendix A: RoI pooling before
            conv5_1, so that conv5_x has maps of 7x7 as in classification).
    """

    LAST_LAYER: ClassVar[str] = "fc"
    region: ClassVar[int] = 14

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        widths = WIDTHS[config.family]
        if config.family == "imagenet":
            self.conv1 = nn.Conv2d(config.in_channels, widths[0], 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(config.in_channels, widths[0], 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)

        block = config.block_type
        channels, of_trunk = widths[0], 0
        self.stages = [f"layer{i}" for i in range(1, len(widths) + 1)]
        for i, (name, width, functions) in enumerate(zip(self.stages, widths, config.stages, strict=True)):
            strides = [1 if i == 0 else 2] + [1] * (functions * block.per_function - 1)
            inputs = [channels] + [width * block.expansion] * len(strides)
            stage = [
                block(config, c_in, width, stride) for (c_in, _), stride in zip(pairwise(inputs), strides, strict=True)
            ]
            self.add_module(name, nn.Sequential(*stage))
            of_trunk, channels = channels, inputs[-1]
        self._blocks(self.stages[0])[0].before = nn.Sequential()  # the stem has done it
        self.end = activation(ORDERS[config.order].leading, channels, in_place=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.channels = of_trunk, channels
        self.fc = nn.Linear(channels, config.num_classes)
        self.apply(he_init)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] float images -> [N, num_classes] logits."""
        return self.fc(self.head(self.trunk(x)))

    def trunk(self, x: Tensor) -> Tensor:
        """All stages but the last, conv1 to conv4_x of Table 1: images [N, C, H, W] -> maps [N, c, H / 16, W / 16]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages[:-1]:
            x = self._stage(stage, x)
        return x

    def head(self, maps: Tensor) -> Tensor:
        """The last stage and the average: maps of `trunk`, or parts of them -> features [N, c]."""
        return torch.flatten(self.avgpool(self._last_stage(maps)), 1)

    def parts(self) -> list[list[nn.Module]]:
        """The layers of `trunk` by stage of Table 1: those of conv1, conv2_x, conv3_x, conv4_x."""
        return [[self.conv1, self.bn1], *([self.get_submodule(stage)] for stage in self.stages[:-1])]

    def dense(self, x: Tensor, window: int) -> Tensor:
        """The fully-convolutional form (Sec. 3.4): logits at every position, [N, num_classes, h, w].

        Args:
            x: Images of any size that gives a last map of `window` or more.
            window: Side of the last map of a training crop, 7 for 224x224: the part that is pooled for one position. An
                image of the size of the crop has one position, with the logits of `forward`.
        """
        pooled = F.avg_pool2d(self._last_stage(self.trunk(x)), window, stride=1)
        return self.fc(pooled.movedim(1, -1)).movedim(-1, 1)

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Its 3x3 layers for the probes (Fig. 7): the convolution's name, and the module that puts out the response."""
        yield from layers_of(self)  # the first one, in CIFAR nets
        for stage in self.stages:
            for number, block in enumerate(self._blocks(stage)):
                assert isinstance(block, Block)
                for name, response in block.layers():
                    yield f"{stage}.{number}.{name}", response

    def _blocks(self, stage: str) -> nn.Sequential:
        blocks = self.get_submodule(stage)
        assert isinstance(blocks, nn.Sequential)
        return blocks

    def _last_stage(self, maps: Tensor) -> Tensor:
        """The last stage, and the activation that pre-activation nets have once more after it."""
        return self.end(self._stage(self.stages[-1], maps))

    def _stage(self, stage: str, x: Tensor) -> Tensor:
        blocks = self._blocks(stage)
        return recomputed(blocks, x) if self.recompute and self.training else blocks(x)
