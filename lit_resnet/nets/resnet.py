"""Plain and residual nets: a stem, stages of blocks, global average pooling and one fully-connected layer."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_resnet.nets.blocks import Basic, Bottleneck, SingleLayer
from lit_resnet.nets.config import NetConfig
from lit_resnet.nets.memory import recomputed


class Net(nn.Module):
    """A net of Table 1 (`imagenet`) or Sec. 4.2 (`cifar`): [N, C, H, W] float images -> [N, num_classes] logits.

    With `recompute` set it trains in far less memory, for a third more arithmetic.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        if config.family == "imagenet":
            widths = (64, 128, 256, 512)
            self.conv1 = nn.Conv2d(config.in_channels, 64, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            widths = (16, 32, 64)
            self.conv1 = nn.Conv2d(config.in_channels, 16, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)

        block = SingleLayer if config.block == "single" else Bottleneck if config.bottleneck else Basic
        blocks_per_function = 2 if config.block == "single" else 1  # a pair of layers becomes two blocks
        channels = widths[0]
        self.stages = [f"layer{i}" for i in range(1, len(widths) + 1)]
        for i, (name, width, functions) in enumerate(zip(self.stages, widths, config.stages, strict=True)):
            strides = [1 if i == 0 else 2] + [1] * (functions * blocks_per_function - 1)
            inputs = [channels] + [width * block.expansion] * len(strides)
            stage = [
                block(config.shortcut, c_in, width, stride, config.stride_on)
                for (c_in, _), stride in zip(pairwise(inputs), strides, strict=True)
            ]
            self.add_module(name, nn.Sequential(*stage))
            channels = inputs[-1]
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, config.num_classes)
        self.apply(he_init)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            blocks = self.get_submodule(stage)
            x = recomputed(blocks, x) if self.recompute and self.training else blocks(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def he_init(module: nn.Module) -> None:
    """Initialise as the paper's ref. [13]: normal with variance 2 / fan-out for convolutions, 2 / fan-in for fc."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(module.bias)


def build(config: NetConfig) -> Net:
    """Build the net that `config` describes, with fresh weights from torch's global generator."""
    return Net(config)
