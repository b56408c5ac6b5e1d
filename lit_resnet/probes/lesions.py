"""Lesions: blocks that are taken out of a trained net, whose weights stay as they are (Veit, Wilber, Belongie 2016).

A residual block without its residual function F passes on what it makes of its shortcut alone: ReLU(shortcut(x)), or
shortcut(x) where no ReLU follows the addition. Whatever else is in the block stays: a gate on the shortcut, a BN after
the addition. (Highway nets were cut in another way in *Training Very Deep Networks*: there the gates of a layer are
shut, so that all of x passes, not x (1 - T(x)).)

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
    instead = [_Instead(place) for place in blocks]
    try:
        for one in instead:
            vars(one.place.block)[one.method] = one  # goes before the method of its class, and is no submodule
        yield
    finally:
        for one in instead:
            del vars(one.place.block)[one.method]
    if place := next((one.place for one in instead if not one.called), None):
        raise InputError(
            f"{place.name}: {type(place.block).__name__} does not call its residual(), which a lesion takes out: "
            "write F there, and let forward() call it"
        )


class _Instead:
    """Stands in for the F of a residual block, as zeros; and for all of a plain block, as the input that passes."""

    def __init__(self, place: Place) -> None:
        self.place, self.called = place, False
        self.method = "forward" if place.block.downsample is None else "residual"
        self._passed = option_a(place.c_in, place.c_out, place.stride)

    def __call__(self, x: Tensor) -> Tensor:
        self.called = True
        passed = self._passed(x)
        return passed if self.method == "forward" else torch.zeros_like(passed)
