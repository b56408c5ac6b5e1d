"""Training very deep nets in less memory: the backward pass recomputes activations that were not kept."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lit_resnet.nets.chance import by_chance


def recomputed(blocks: nn.Sequential, x: Tensor) -> Tensor:
    """`blocks(x)`, keeping only the activations between segments of about √n of the n blocks.

    The backward pass computes the activations of each segment again: a third more arithmetic, for memory that grows
    with √n instead of n. Gradients and BN's running statistics are the same.
    """
    size = max(1, round(math.sqrt(len(blocks))))
    for start in range(0, len(blocks), size):
        segment = blocks[start : start + size]
        x = checkpoint(
            segment,
            x,
            use_reentrant=False,
            preserve_rng_state=by_chance(segment),
            context_fn=lambda segment=segment: (nullcontext(), _statistics_kept(segment)),
        )
    return x


@contextmanager
def _statistics_kept(segment: nn.Module) -> Iterator[None]:
    """Keep BN from counting the batch into its running statistics a second time."""
    norms = [module for module in segment.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [
        (norm, norm.momentum, batches, batches.clone())
        for norm in norms
        if (batches := norm.num_batches_tracked) is not None
    ]
    for norm, *_ in before:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, batches, kept in before:
            norm.momentum = momentum
            batches.copy_(kept)
