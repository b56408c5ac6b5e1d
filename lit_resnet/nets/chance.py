"""Whether the forward pass of a net that trains depends on random numbers."""

from torch import nn

from lit_resnet.nets.blocks import Block
from lit_resnet.nets.gates import Gate
from lit_resnet.nets.own import OwnNet


def by_chance(net: nn.Module) -> bool:
    """Whether it may draw some: dropout does, and nobody knows what nets, blocks and gates of one's own do."""
    return any(
        isinstance(module, (nn.modules.dropout._DropoutNd, OwnNet))
        or (isinstance(module, (Block, Gate)) and not type(module).__module__.startswith("lit_resnet."))
        for module in net.modules()
    )
