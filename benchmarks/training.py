"""Training images/s of a CIFAR net through our Trainer, against a bare PyTorch loop over the same net and data.

    python benchmarks/training.py --depth 20 --batch-size 128 --rounds 5

The two take turns in one process, each round from fresh weights; a round's first steps are not counted. Printed: the
median of each, and the median of the ratios round by round, which holds when the machine's speed drifts.
"""

import argparse
import statistics
import tempfile
import time

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer

from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.stream import BatchStream
from lit_resnet.nets import NetConfig
from lit_resnet.runfolder import RunFolder
from lit_resnet.training.config import quiet
from lit_resnet.training.module import LitResNet
from lit_resnet.training.recorder import MetricsFile, ProgressBar, Recorder, StopRequest

WARM_UP = 5  # steps of a round that are not counted


class Clock(Callback):
    """Notes the time after the warm-up and at the end."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        if trainer.global_step == WARM_UP:
            synchronize()
            self.start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        synchronize()
        self.seconds = time.perf_counter() - self.start


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def bare(net_config: NetConfig, stream: BatchStream, steps: int, device: torch.device) -> float:
    """Seconds of `steps` iterations in a loop with nothing in it but training."""
    net = LitResNet(net_config).net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    start = 0.0
    for step, (images, labels) in zip(range(WARM_UP + steps), stream, strict=False):
        if step == WARM_UP:
            synchronize()
            start = time.perf_counter()
        loss = F.cross_entropy(net(images.contiguous(memory_format=torch.channels_last)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    synchronize()
    return time.perf_counter() - start


def ours(net_config: NetConfig, stream: BatchStream, steps: int) -> float:
    """Seconds of `steps` iterations as `lit-resnet fit` runs them: metrics, heartbeat and checkpoints included."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(path)
        folder.checkpoints.mkdir()
        metrics = MetricsFile(folder)
        recorder = Recorder(folder, metrics, StopRequest())
        Trainer(
            max_steps=WARM_UP + steps,
            log_every_n_steps=10,
            logger=[metrics],
            callbacks=[recorder, ProgressBar(metrics), clock],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            default_root_dir=path,
        ).fit(LitResNet(net_config), stream)
    return clock.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=40, help="counted iterations of a round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    quiet()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.randint(0, 256, (10_000, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 10, (10_000,), device=device)
    net_config = NetConfig(depth=args.depth)
    augment = CropFlip(pixel_mean(images))
    speeds: dict[str, list[float]] = {"bare loop": [], "our Trainer": []}
    for _ in range(args.rounds):
        for name in speeds:
            stream = BatchStream(images, labels, augment, args.batch_size, seed=0)
            same = (net_config, stream, args.steps)
            seconds = bare(*same, device) if name == "bare loop" else ours(*same)
            speeds[name].append(args.steps * args.batch_size / seconds)
    ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
    for name, values in speeds.items():
        print(f"{name}: {statistics.median(values):,.0f} images/s ({min(values):,.0f} to {max(values):,.0f})")
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {args.rounds} rounds")


if __name__ == "__main__":
    main()
