"""Parameters and multiply-adds, as the paper counts them (Sec. 3.3, Table 1)."""

import copy
import logging
import warnings
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lit_resnet.nets import NetConfig, OwnNet, build

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch warns of torch.jit, which fvcore uses
    from fvcore.nn import FlopCountAnalysis

# In deeper nets, and in larger images, fvcore takes many seconds; PyTorch's counter gives the same numbers.
TRACED_LAYERS, TRACED_PIXELS = 200, 300 * 300


@dataclass(frozen=True)
class Complexity:
    """Parameters, also those that do not train, and multiply-adds of an image's convolutions and fc layers."""

    params: int
    macs: int


def complexity(net: nn.Module, image_shape: tuple[int, int, int], training: bool = False) -> Complexity:
    """Count `net` for one image of shape (C, H, W), as in a test, or in `training` where a net does less or more then.

    BN, ReLU, pooling and additions are not counted, as in the paper.

    fvcore counts a multiply-add as one, as the paper does, but it also counts BN: only its convolutions and matrix
    products are used here. A copy of `net` is traced, so that BN's statistics do not change. `net` may be on the meta
    device, where it has no weights.
    """
    params = sum(p.numel() for p in net.parameters())
    convolutions = sum(isinstance(module, nn.Conv2d) for module in net.modules())
    traced = convolutions < TRACED_LAYERS and image_shape[1] * image_shape[2] <= TRACED_PIXELS
    count = _fvcore if traced else _dispatched
    return Complexity(params, count(net, image_shape, training))


@cache
def complexity_of(config: NetConfig, image_shape: tuple[int, int, int]) -> Complexity:
    """Count the net of a config, once per process, without drawing its weights: that takes seconds for large nets."""
    with torch.device("meta"):
        net = build(config)
    return complexity(net, image_shape)


def _fvcore(net: nn.Module, image_shape: tuple[int, int, int], training: bool = False) -> int:
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same warning
        traced = _on_cpu(net).train(training)  # fvcore cannot trace on the meta device
        by_operator = FlopCountAnalysis(traced, torch.zeros(1, *image_shape)).by_operator()
    return int(sum(by_operator[name] for name in ("conv", "linear", "addmm")))


def _on_cpu(net: nn.Module) -> nn.Module:
    """A copy on the CPU, without values, which change no count; of a net of one's own with them, maybe indices."""
    if not isinstance(net, OwnNet):
        return copy.deepcopy(net).to_empty(device="cpu")
    without_values = any(value.is_meta for value in (*net.parameters(), *net.buffers()))
    return build(net.config) if without_values else copy.deepcopy(net).to("cpu")


def _dispatched(net: nn.Module, image_shape: tuple[int, int, int], training: bool = False) -> int:
    net = copy.deepcopy(net).to("meta").train(training)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *image_shape, device="meta"))
    return counter.get_total_flops() // 2  # it counts a multiply-add as two
