"""The most images/s that a device could train: the least work of a training step, at the device's measured speed.

The least work is that of a step in which nothing is done twice and all that can be fused is fused. Multiply-adds are
those of convolutions and fc layers, forward once and backward twice: for the gradient of a layer's weights and for that
of its input, which the first layer does not need. Of the bytes, every layer's output moves five times between memory
and processor: written and read on the way forward; read, its gradient written and its gradient read on the way back.
BN, ReLU and additions cost nothing extra. Every weight moves seven times as a 32-bit float: read forward and backward,
its gradient written and read, its momentum read and written, and its new value written.

So it is a limit, not a forecast: PyTorch's own kernels for BN, ReLU and additions pass over memory several times more.
It assumes that memory and arithmetic never wait for each other, and that no layer's output stays in a cache. Where a
cache holds some outputs, as that of a CPU does for small batches, a device could be faster than this limit.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_resnet.probes import timing

OUTPUT_PASSES = 5  # times that a layer's output moves between memory and processor
WEIGHT_PASSES = 7
COPIED_BYTES = 256 << 20  # many times the size of a cache
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
SECONDS = 0.3


@dataclass(frozen=True)
class Work:
    """The work of one training step: bytes moved between memory and processor, and multiply-adds."""

    bytes: int
    macs: int


@dataclass(frozen=True)
class Hardware:
    """The speed of a device: bytes and multiply-adds a second, measured in large pieces of work."""

    bytes: float
    macs: float

    def seconds(self, work: Work) -> float:
        """The least time for `work`: that of its bytes or that of its multiply-adds, whichever is longer."""
        return max(work.bytes / self.bytes, work.macs / self.macs)

    def bound(self, work: Work) -> str:
        """Which of the two takes longer: `memory` or `arithmetic`."""
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
    """Measure a device at its best: bytes that a copy reads and writes, and multiply-adds in `dtype`, a second.

    Multiply-adds are measured in a product of matrices and in a convolution, and the faster one counts: some libraries
    are better at one, some at the other.
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
