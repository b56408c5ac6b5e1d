"""A deeper plain net that computes what a shallower one does: the solution by construction of Sec. 1."""

from itertools import islice

import torch
from torch import nn

from lit_resnet.nets import ResNet


@torch.no_grad()
def construct(shallow: ResNet, deep: ResNet) -> None:
    """Set `deep` to compute what `shallow` does, in evaluation mode, if it is a plain net.

    Its first blocks in each stage become those of `shallow`, further ones identities. The input of a block has passed a
    ReLU, which therefore changes nothing in an identity.

    Args:
        shallow: A net of basic blocks.
        deep: One of the same family, with as many blocks or more in each stage.
    """
    deep.load_state_dict(deep.state_dict() | shallow.state_dict())
    for stage in deep.stages:
        blocks = len(list(shallow.get_submodule(stage).children()))
        for block in islice(deep.get_submodule(stage).children(), blocks, None):
            for module in block.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.dirac_(module.weight)
                elif isinstance(module, nn.BatchNorm2d):
                    module.reset_parameters()
                    module.weight.fill_((1 + module.eps) ** 0.5)  # which undoes the division by the std
