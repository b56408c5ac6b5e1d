"""What is trained: the paper's plain and residual nets, and VGG beside them. Knows no other room."""

from lit_resnet.nets.config import NetConfig
from lit_resnet.nets.resnet import ResNet
from lit_resnet.nets.vgg import VGG

Net = ResNet | VGG


def build(config: NetConfig) -> Net:
    """Build the net that `config` describes, with fresh weights from torch's global generator."""
    return VGG(config) if config.family == "vgg" else ResNet(config)


__all__ = ["VGG", "Net", "NetConfig", "ResNet", "build"]
