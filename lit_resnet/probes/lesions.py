"""Lesions: blocks that are taken out of a trained net, whose weights stay as they are (Veit, Wilber, Belongie 2016).

A residual block without its residual function F passes on what it makes of its shortcut alone: y = ReLU(shortcut(x)).
Whatever else is in the block, such as a gate on the shortcut or a BN after the addition, stays.

A block of a plain net has no shortcut. In its place the input passes: where dimensions change, subsampled and with
channels of zeros, as by option A (Sec. 3.3).
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_resnet.errors import InputError
from lit_resnet.nets import ResNet
from lit_resnet.nets.blocks import Block, option_a


@dataclass(frozen=True, eq=False)
class Place:
    """A block of a net, and what it does to the dimensions of a map.

    Args:
        name: `layer1.0`.
        block: The block.
        c_in: Channels of its input.
        c_out: Channels of its output.
        stride: How many times smaller its output is.
    """

    name: str
    block: Block
    c_in: int
    c_out: int
    stride: int

    @property
    def keeps(self) -> bool:
        """Whether its output has the dimensions of its input."""
        return self.c_in == self.c_out and self.stride == 1


def places(net: ResNet, images: Tensor) -> list[Place]:
    """The blocks of a net in evaluation mode, in their order, as images [N, C, H, W] on its device meet them."""
    met: dict[Block, Place] = {}

    def meet(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(block, Block)
        _, c_in, height, _ = inputs[0].shape
        met[block] = Place(names[block], block, c_in, output.shape[1], -(-height // output.shape[2]))

    names = {block: name for name, block in net.blocks()}
    with ExitStack() as hooks, torch.inference_mode():
        for block in names:
            hooks.callback(block.register_forward_hook(meet).remove)
        net(images)
    return [met[block] for block in names]


@contextmanager
def removed(blocks: Iterable[Place]) -> Iterator[None]:
    """Take blocks out of their net for the length of a `with` statement, in which the net is called.

    Raises:
        InputError: One of the blocks, of a user's own, does not call `residual`, so that its F cannot be taken out.
    """
    instead = {place.block: _Instead(place) for place in blocks}
    try:
        for block, nothing in instead.items():
            vars(block)["residual"] = nothing  # before the method of its class; it is no part of the module
        yield
    finally:
        for block in instead:
            del vars(block)["residual"]
    if one := next((nothing.place for nothing in instead.values() if not nothing.called), None):
        raise InputError(
            f"{one.name}: {type(one.block).__name__} does not call its residual(), which a lesion takes out: "
            "write F there, and let forward() call it"
        )


class _Instead:
    """Stands in for the F of a block: zeros beside a shortcut, and the input where there is none."""

    def __init__(self, place: Place) -> None:
        self.place, self.called = place, False
        self._passed = option_a(place.c_in, place.c_out, place.stride)

    def __call__(self, x: Tensor) -> Tensor:
        self.called = True
        y = self._passed(x)
        return y if self.place.block.downsample is None else torch.zeros_like(y)
