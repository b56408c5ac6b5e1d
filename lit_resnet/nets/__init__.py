"""The nets that are trained: the paper's plain and residual nets, and VGG beside them. Imports torch alone."""

from lit_resnet.nets.config import OWN, NetConfig
from lit_resnet.nets.own import OwnNet
from lit_resnet.nets.resnet import ResNet
from lit_resnet.nets.vgg import VGG

Net = ResNet | VGG | OwnNet


def build(config: NetConfig) -> Net:
    """Build the net that `config` describes, with fresh weights from torch's global generator.

    Raises:
        InputError: It is a net of one's own that cannot be made.
    """
    return {"vgg": VGG, OWN: OwnNet}.get(config.family, ResNet)(config)


__all__ = ["VGG", "Net", "NetConfig", "OwnNet", "ResNet", "build"]
