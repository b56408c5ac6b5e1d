"""BN's running statistics as true averages over training images (Appendix A), in place of moving averages."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

B = TypeVar("B")


@runtime_checkable
class Following(Protocol):
    """Data that can give more batches than a run trains on."""

    def following(self, position: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The training batches from number `position` on, without end: this device's part of each, as for training."""
        ...


def batch_norms(net: nn.Module) -> list[_BatchNorm]:
    """The BN layers that have running statistics."""
    return [module for module in net.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]


def take_statistics(
    net: nn.Module,
    batches: Iterable[B],
    run: Callable[[B], object],
    mean_of_devices: Callable[[Tensor], Tensor] | None = None,
) -> int:
    """Replace the running statistics of all BN layers of `net` by their averages over some batches.

    Each batch, or group of `bn_group` images, counts alike. Its statistics are those that training would see: a layer
    normalizes by them, too. All other layers are as in evaluation, so that dropout draws nothing. Weights do not
    change, and afterwards every layer is in the mode in which it was.

    Args:
        net: The net; it need not be all of a larger one.
        batches: What `run` takes, one after the other.
        run: Sends a batch through the net; what it returns is not used.
        mean_of_devices: Averages a tensor over the devices, each of which had as many batches; None for one device.

    Returns:
        How many batches there were.

    Raises:
        ValueError: The net has no BN layers with running statistics, or there are no batches.
    """
    layers = batch_norms(net)
    if not layers:
        raise ValueError("the net has no BN layers whose statistics could be taken")
    count = 0
    with torch.no_grad(), _averaging(net, layers):
        for batch in batches:
            if not count:  # not before: where there are no batches, they stay as they are
                for layer in layers:
                    layer.reset_running_stats()
            run(batch)
            count += 1
        if not count:
            raise ValueError("there are no batches to take the statistics of BN over")
        if mean_of_devices is not None:
            for layer in layers:
                for statistic in (layer.running_mean, layer.running_var):
                    assert statistic is not None  # see `batch_norms`
                    statistic.copy_(mean_of_devices(statistic))
    return count


@contextmanager
def _averaging(net: nn.Module, layers: list[_BatchNorm]) -> Iterator[None]:
    """While it lasts, these layers average what they see, and all others evaluate."""
    modes = {module: module.training for module in net.modules()}
    momenta = [layer.momentum for layer in layers]
    net.eval()
    for layer in layers:
        layer.train()
        layer.momentum = None  # a cumulative average
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
