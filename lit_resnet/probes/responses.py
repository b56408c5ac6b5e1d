"""Layer responses (Sec. 4.2, Fig. 7): the std of each 3x3 layer's output, after BN and before ReLU or the addition."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lit_resnet.nets import Net


class _Moments:
    """Count, sum and sum of squares of all outputs, in float64, so that the batch size does not matter."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(()), torch.zeros(())

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        values = output.detach().double()
        self.count += values.numel()
        self.total = self.total.to(values) + values.sum()
        self.squares = self.squares.to(values) + values.square().sum()

    def std(self) -> float:
        """The standard deviation of all outputs so far."""
        if self.count == 0:
            raise RuntimeError("a layer was never reached: hooks do not work on a compiled net")
        mean = self.total / self.count
        return (self.squares / self.count - mean.square()).clamp(min=0).sqrt().item()


def responses(net: Net, batches: Iterable[tuple[Tensor, Tensor]]) -> list[tuple[str, float]]:
    """Standard deviation of each 3x3 layer's output over all images, channels and positions, in one pass.

    Args:
        net: A net of `lit_resnet.nets`, with trained weights. It is put in evaluation mode for the pass.
        batches: (images [N, C, H, W], labels) on the net's device.

    Returns:
        (layer's name, std) in the order of the net.
    """
    moments = {name: _Moments() for name, _ in net.layers()}
    hooks = [response.register_forward_hook(moments[name]) for name, response in net.layers()]
    training = net.training
    net.eval()
    try:
        with torch.inference_mode():
            for images, _ in batches:
                net(images)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return [(name, moment.std()) for name, moment in moments.items()]
