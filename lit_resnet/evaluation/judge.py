"""Judging nets: one pass over the images for the scores that are not in a cache yet, then errors of mean scores."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.evaluation import Testing
from lit_resnet.evaluation.alone import judged_alone
from lit_resnet.evaluation.images import TestImages
from lit_resnet.evaluation.progress import progress
from lit_resnet.evaluation.score_cache import ScoresFile
from lit_resnet.evaluation.scores import scores
from lit_resnet.evaluation.topk import TopError
from lit_resnet.evaluation.views import View
from lit_resnet.nets import Net
from lit_resnet.probes.device import full_precision
from lit_resnet.runfolder.folder import RunFolder

BATCH_SIZE = 64  # crops of a forward pass
CHUNK = 1024  # images whose scores are averaged at a time
Errors = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Judged:
    """A net, and everything that its errors depend on.

    Args:
        folder: Where its scores and errors are kept: the run's folder, or one of the same layout.
        net: The net with its weights.
        mean: The mean that was subtracted when it was trained, in levels: [C, 1, 1], or [C, H, W] of its images.
        checkpoint: SHA-256 of the file that the weights are from.
        images: The images that it is judged on.
    """

    folder: RunFolder
    net: Net
    mean: Tensor
    checkpoint: str
    images: TestImages

    def cache(self, view: View) -> ScoresFile:
        """The file of its scores in this view."""
        origin = {
            "checkpoint": self.checkpoint,
            "mean": hashlib.sha256(self.mean.cpu().contiguous().numpy().tobytes()).hexdigest(),
            "data": self.images.name,
            "images": self.images.digest,
            "view": asdict(view),
        }
        shape = (len(self.images.labels), self.net.config.num_classes)
        return ScoresFile(self.folder.scores / f"{view}.npy", shape, origin)


def judge(
    nets: Sequence[Judged],
    protocols: Sequence[Testing],
    device: torch.device,
    scales: Sequence[int] | None = None,
    weights: Sequence[float] | None = None,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    wait: bool = False,
) -> dict[Testing, list[Errors]]:
    """Judge nets on their test images, by each protocol.

    The errors are also written to each net's evaluation.json, beside those of other protocols; except errors with other
    `scales` than the paper's, which `multi-scale` stands for in that file.

    Args:
        nets: The nets; each has a folder of its own.
        protocols: How they are judged.
        device: Where they are evaluated.
        scales: Shorter sides for `multi-scale`; None for the paper's.
        weights: If given, the nets also make an ensemble: the mean of their scores, weighted in proportion to these.
        batch_size: Crops of a forward pass.
        workers: Processes that read photographs; None for as many as the cores can use.
        wait: Whether to wait for another process that evaluates one of the nets.

    Returns:
        By protocol, the result of `errors` for each net and, last, for the ensemble.

    Raises:
        InputError: A protocol is not for these images, an image is damaged, a folder cannot be written, another process
            evaluates one of the nets and nobody waits, or those of an ensemble are not for the same images.
    """
    if weights and len({net.images.digest for net in nets}) > 1:
        raise InputError("--ensemble: these runs are not for the same test images; give --data, or runs that are")
    jobs = [(net, view) for protocol in protocols for net in nets for view in net.images.views(protocol, scales)]
    found = {}
    with ExitStack() as held:
        for net in nets:
            held.enter_context(judged_alone(net.folder, net.folder.scores, wait))
        _score(list(dict.fromkeys(jobs)), device, batch_size, workers)
        for protocol in protocols:
            caches = [[net.cache(view) for view in net.images.views(protocol, scales)] for net in nets]
            found[protocol] = [errors(net.images.labels, [cached]) for net, cached in zip(nets, caches, strict=True)]
            if protocol != "multi-scale" or scales is None:
                for net, entry in zip(nets, found[protocol], strict=True):
                    _keep(net, protocol, entry)
            if weights:
                found[protocol].append(errors(nets[0].images.labels, caches, weights))
    return found


def errors(labels: Tensor, caches: Sequence[Sequence[ScoresFile]], weights: Sequence[float] = (1.0,)) -> Errors:
    """Errors of mean scores: each net's mean over its views, then the mean over nets, weighted in proportion.

    Returns:
        top1_error and top5_error in percent (the latter None if there are fewer than five classes), and images, the
        number of images that could be read.
    """
    files = [[_whole(cache) for cache in of_net] for of_net in caches]
    classes = caches[0][0].shape[1]
    top = {k: TopError(classes, k) for k in (1, 5) if k <= classes}
    images = 0
    for start in range(0, len(labels), CHUNK):
        rows = slice(start, start + CHUNK)
        of_nets = [torch.stack([torch.tensor(file[rows]).double() for file in of_net]) for of_net in files]
        weighted = (weight * views.mean(0) for weight, views in zip(weights, of_nets, strict=True))
        mean = sum(weighted, torch.zeros(()))
        read = ~torch.cat([views[:, :, 0] for views in of_nets]).lt(0).any(0)
        images += int(read.sum())
        for error in top.values():
            error.update(mean[read], labels[rows][read])
    percent = {k: round(error.compute().item(), 4) for k, error in top.items()}
    return {"top1_error": percent[1], "top5_error": percent.get(5), "images": images}


def _whole(cache: ScoresFile) -> np.ndarray:
    found = cache.read()
    assert found is not None, f"{cache.path} was whole a moment ago"
    return found


def _keep(net: Judged, protocol: Testing, entry: Errors) -> None:
    """Write a net's errors by one protocol into its evaluation.json."""
    about = {
        "views": [str(view) for view in net.images.views(protocol)],
        "data": net.images.name,
        "checkpoint": net.checkpoint,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    net.folder.add_evaluations({protocol: entry | about}, net.checkpoint)


def _score(jobs: Sequence[tuple[Judged, View]], device: torch.device, batch_size: int, workers: int | None) -> None:
    """Complete the scores in these views, in one pass for all nets that are judged on the same images."""
    missing = [(net, view) for net, view in jobs if net.cache(view).read() is None]
    for digest in dict.fromkeys(net.images.digest for net, _ in missing):
        _pass([(net, view) for net, view in missing if net.images.digest == digest], device, batch_size, workers)


def _pass(jobs: Sequence[tuple[Judged, View]], device: torch.device, batch_size: int, workers: int | None) -> None:
    """Show each image to all these nets in all these views, starting at the first portion that any of them lacks."""
    full_precision()
    means = {net: net.mean.to(device) for net, _ in jobs}
    for net in means:
        net.net.to(device).to(memory_format=torch.channels_last).eval()
    caches = [net.cache(view) for net, view in jobs]
    for cache in caches:
        cache.begin()
    start = min(cache.rows for cache in caches)
    images = jobs[0][0].images
    words = f"{len(means)} net{'s' * (len(means) > 1)}: {', '.join(dict.fromkeys(str(view) for _, view in jobs))}"
    with progress(words, len(images.labels), start) as advance:
        for portion in images.portions({view.short_side for _, view in jobs}, start, workers):
            read = {i: sides for i, sides in enumerate(portion) if sides is not None}
            for (net, view), cache in zip(jobs, caches, strict=True):
                if cache.rows == start:  # else a stopped evaluation has written this portion
                    rows = torch.full((len(portion), cache.shape[1]), -1.0)
                    seen = [sides[view.short_side] for sides in read.values()]
                    rows[list(read)] = scores(net.net, means[net], view, seen, batch_size)
                    cache.append(rows)
            start += len(portion)
            advance(len(portion))
    for cache in caches:
        cache.finish()
