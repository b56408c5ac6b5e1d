"""Seconds of training iterations of a CIFAR net as `lit-resnet fit` runs them, against a bare PyTorch loop.

    python benchmarks/training.py --depth 20 --batch-size 128 --rounds 5

Ours is a whole run from its config, with metrics, heartbeat, checkpoints and log; the bare loop has the same net, the
same augmented batches and nothing in it but training. Images are random. The two take turns in one process, each round
from fresh weights. A round is three logging windows; the first one warms up and is not counted. Printed: the median of
each, and the median of the ratios round by round, which holds when the machine's speed drifts.
"""

import argparse
import io
import statistics
import tempfile
import time
from contextlib import redirect_stderr
from functools import partial
from typing import Any

import torch

from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.in_memory import Splits
from lit_resnet.data.stream import BatchStream
from lit_resnet.nets import build
from lit_resnet.probes import timing
from lit_resnet.probes.device import gpu_or_cpu
from lit_resnet.run.bench import DTYPES, RunOfImages
from lit_resnet.run.run import keep_freed_memory, train
from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import CLASSIFICATION

METRICS = records.metrics(CLASSIFICATION)

WINDOWS = 2  # that count


def ours(config: dict[str, Any], splits: Splits, batch_size: int) -> float:
    """Seconds of an iteration of a run in a folder of its own."""
    with tempfile.TemporaryDirectory() as path, redirect_stderr(io.StringIO()):  # its progress
        folder = RunFolder(path)
        train(RunOfImages(config, splits), folder)
        speeds = [row["images_per_second"] for row in METRICS.read(folder.path) if row["images_per_second"] is not None]
    assert len(speeds) == WINDOWS
    return batch_size / statistics.harmonic_mean(speeds)


def bare(run: RunOfImages, splits: Splits, window: int, device: torch.device) -> float:
    """Seconds of an iteration in a loop with nothing in it but training."""
    images, labels = (part.to(device) for part in splits[:2])
    data = run.data()
    stream = BatchStream(images, labels, CropFlip(pixel_mean(images)), data.batch_size, seed=0)
    net = build(run.net(data)).to(device, memory_format=torch.channels_last)
    dtype = DTYPES[run.config.trainer.precision]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    start = 0.0
    for step in range((1 + WINDOWS) * window):
        if step == window:
            timing.synchronize(device)
            start = time.perf_counter()
        images, labels = next(stream)
        images = images.contiguous(memory_format=torch.channels_last)
        timing.step(partial(timing.cross_entropy, net, images, labels, dtype), optimizer)
    timing.synchronize(device)
    return (time.perf_counter() - start) / (WINDOWS * window)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=20, help="layers of the ResNet (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=128, help="images (default: %(default)s)")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="default: 32-true")
    parser.add_argument("--window", type=int, default=20, help="iterations of a logging window (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = parser.parse_args()

    device = gpu_or_cpu()
    steps = (1 + WINDOWS) * args.window
    config = {
        "model": {"net": {"depth": args.depth}},
        "data": {"source": "cifar10", "batch_size": args.batch_size},
        "trainer": {
            "accelerator": device.type,
            "devices": 1,
            "precision": args.precision,
            "max_steps": steps,
            "val_check_interval": steps,
            "log_every_n_steps": args.window,
        },
    }
    images = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(0, 10, (50_000,))
    splits = (images, labels, images[:128], labels[:128])
    keep_freed_memory()  # for both, not only once a run of ours has asked for it
    seconds: dict[str, list[float]] = {"bare loop": [], "lit-resnet fit": []}
    for _ in range(args.rounds):
        seconds["bare loop"].append(bare(RunOfImages(config, splits), splits, args.window, device))
        seconds["lit-resnet fit"].append(ours(config, splits, args.batch_size))
    for name, values in seconds.items():
        middle, low, high = (1000 * f(values) for f in (statistics.median, min, max))
        print(f"{name}: {middle:,.2f} s per 1,000 iterations ({low:,.2f} to {high:,.2f})")
    ratios = [our / its for its, our in zip(*seconds.values(), strict=True)]
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {args.rounds} rounds")


if __name__ == "__main__":
    main()
