"""The most images/s that a device could train: the least work of a step, at the speed that the device is seen to have.

The least work is that of a step in which nothing is done twice and all that can be fused is fused. Multiply-adds are
those of convolutions and fc layers, forward once and backward twice: for the gradient of a layer's weights and for that
of its input, which the first layer does not need. Of the bytes, every layer's output moves five times between memory
and processor: written and read on the way forward; read, its gradient written and its gradient read on the way back;
BN, ReLU and additions ride along. Every weight moves seven times as a 32-bit float: read forward and backward, its
gradient written and read, its momentum read and written, and its new value written.

So it is a limit and no forecast: PyTorch's own kernels for BN, ReLU and additions pass over memory several times more.
It assumes that memory and arithmetic work side by side without waiting for each other, and that no layer's output stays
in a cache. Where caches hold some, as those of a CPU do for small batches, memory could be quicker than it says.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_resnet.probes import timing

OUTPUT_PASSES = 5
WEIGHT_PASSES = 7
COPIED_BYTES = 256 << 20  # many times what a cache holds
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
SECONDS = 0.3


@dataclass(frozen=True)
class Work:
    """What one training step has to do."""

    bytes: int
    macs: int


@dataclass(frozen=True)
class Hardware:
    """What a device does a second, as seen in large pieces of work."""

    bytes: float
    macs: float

    def seconds(self, work: Work) -> float:
        """The least time for `work`: that of its bytes or that of its multiply-adds, whichever is longer."""
        return max(work.bytes / self.bytes, work.macs / self.macs)

    def bound(self, work: Work) -> str:
        """Which of the two it is: `memory` or `arithmetic`."""
        return "memory" if work.bytes / self.bytes > work.macs / self.macs else "arithmetic"


def least_work(net: nn.Module, shape: tuple[int, int, int, int], dtype: torch.dtype) -> Work:
    """The least work of a training step with images of `shape` [N, C, H, W], whose layers' outputs are of `dtype`."""
    outputs: list[int] = []
    macs: list[int] = []

    def count(layer: nn.Conv2d | nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output.numel())
        macs.append(output.numel() * layer.weight[0].numel())

    net = copy.deepcopy(net).to("meta")
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    net(torch.zeros(shape, device="meta"))
    weights = sum(parameter.numel() for parameter in net.parameters())
    return Work(
        bytes=OUTPUT_PASSES * dtype.itemsize * sum(outputs) + WEIGHT_PASSES * torch.float32.itemsize * weights,
        macs=3 * sum(macs) - macs[0],
    )


def hardware(device: torch.device, dtype: torch.dtype) -> Hardware:
    """Measure a device at its best: the bytes that a copy reads and writes, and the multiply-adds in `dtype`.

    The latter in a product of matrices and in a convolution, whichever is faster: libraries are better at one or other.
    """
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device)  # zeros would share one page of memory
    target = torch.empty_like(source)
    copied = min(timing.rounds(lambda: target.copy_(source), device, SECONDS))
    side = MATRIX_SIDE[device.type]
    matrix = torch.rand(side, side, device=device).to(dtype)
    with torch.no_grad():
        product = min(timing.rounds(lambda: matrix @ matrix, device, SECONDS))
        images = torch.rand(128, 64, 32, 32, device=device).to(dtype, memory_format=torch.channels_last)
        layer = nn.Conv2d(64, 64, 3, padding=1, bias=False).to(
            device,
            dtype,
            memory_format=torch.channels_last,  # pyright: ignore[reportCallIssue] (missing in its stub)
        )
        convolution = min(timing.rounds(lambda: layer(images), device, SECONDS))
    macs = max(side**3 / product, images.numel() * layer.weight[0].numel() / convolution)
    return Hardware(2 * COPIED_BYTES / copied, macs)
