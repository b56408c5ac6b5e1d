"""How long a piece of work takes on a device."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUNDS = 5


def rounds(work: Callable[[], object], device: torch.device, seconds: float) -> list[float]:
    """Seconds of one call of `work`: one value for each of `ROUNDS` rounds of about `seconds`, after a warm-up."""
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < seconds:
        work()
        synchronize(device)
        calls += 1
    return [_round(work, device, calls) for _ in range(ROUNDS)]


def _round(work: Callable[[], object], device: torch.device, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    synchronize(device)
    return (time.perf_counter() - start) / calls


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its queued work; a CPU has no queue."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step(loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
    """One iteration of training by hand: the forward pass, which is `loss`, then backward and the update."""
    found = loss()
    optimizer.zero_grad()
    found.backward()
    optimizer.step()


def cross_entropy(net: nn.Module, images: Tensor, labels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The loss of one batch.

    Args:
        net: The net, on the device of the batch.
        images: float32 [N, C, H, W].
        labels: int64 [N].
        dtype: What the forward pass computes in; autocast does so for all but 32-bit floats.
    """
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        return F.cross_entropy(net(images), labels)
