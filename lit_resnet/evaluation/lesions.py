"""A trained net judged again without some of its blocks (Veit, Wilber, Belongie 2016, Figs. 3 to 5)."""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from lit_resnet.evaluation.topk import TopError
from lit_resnet.nets import ResNet
from lit_resnet.probes.device import full_precision
from lit_resnet.probes.lesions import Place, removed

Blocks = tuple[Place, ...]  # that are taken out together


def planned(blocks: Sequence[Place], most: int, draws: int, seed: int) -> list[Blocks]:
    """What is taken out of a net: each block alone, then several at once, drawn at random.

    Several are drawn among the blocks that keep dimensions: one that changes them does more than add its F. Draws of
    one number of blocks differ; where there are no more than `draws` ways to choose them, these are all of them. Nets
    with as many such blocks have the same draws, so that they can be compared.

    Args:
        blocks: All blocks of the net.
        most: Blocks that are taken out at once, at most; there are never more than keep dimensions.
        draws: Draws of each number of blocks, from two on.
        seed: Seed of the draws.
    """
    keeping = [block for block in blocks if block.keeps]
    numbers = range(2, min(most, len(keeping)) + 1)
    several = [chosen for k in numbers for chosen in _drawn(len(keeping), k, draws, f"{seed} {k}")]
    return [(block,) for block in blocks] + [tuple(keeping[i] for i in chosen) for chosen in several]


def _drawn(n: int, k: int, draws: int, seed: str) -> list[tuple[int, ...]]:
    """Different choices of k from 0 to n - 1."""
    if comb(n, k) <= draws:
        return list(combinations(range(n), k))
    generator, found = random.Random(seed), dict[tuple[int, ...], None]()
    while len(found) < draws:
        found[tuple(sorted(generator.sample(range(n), k)))] = None
    return list(found)


@torch.inference_mode()
def errors(
    net: ResNet,
    lesions: Sequence[Blocks],
    batches: Iterable[tuple[Tensor, Tensor]],
    advance: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """The top-1 error in percent without these blocks, in one pass over the images; in 32-bit floats.

    Args:
        net: The net, in evaluation mode.
        lesions: What is taken out each time; nothing, for the error of the whole net.
        batches: (images [N, C, H, W], labels [N]) on the net's device.
        advance: Called with the number of images, each time that the net has seen some.

    Raises:
        InputError: As `removed`.
    """
    full_precision()
    counted = [TopError(net.config.num_classes, 1) for _ in lesions]
    for images, labels in batches:
        for blocks, error in zip(lesions, counted, strict=True):
            with removed(blocks):
                logits = net(images)
            error.to(images.device).update(logits, labels)
            advance(len(labels))
    return [error.compute().item() for error in counted]
