"""Training throughput of this machine, part by part, beside the most that its hardware could do (`lit-resnet bench`).

Images are random and of CIFAR's shape, so nothing needs to be on disk. Each net is measured in a process of its own,
whose peak memory is then its own too.
"""

import io
import multiprocessing
import os
import statistics
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.in_memory import InMemory, Splits
from lit_resnet.data.module import ImageData
from lit_resnet.data.stream import BatchStream
from lit_resnet.errors import InputError
from lit_resnet.listing import Columns, Row, count
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes import timing
from lit_resnet.probes.device import device_name, gpu_or_cpu
from lit_resnet.probes.limits import Hardware, hardware, least_work
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import keep_freed_memory, train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.summary import Summary
from lit_resnet.training.classifier import LitResNet

DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
IMAGES = 50_000  # as CIFAR has; they are part of the memory
SHAPE = (3, 32, 32)

NOTE = """\
data: augmented batches alone. step: forward, backward and update on one batch. whole: a run as `fit` does it, with
metrics, heartbeat and checkpoints, between evaluations. limit: the least bytes of a step at the first of these speeds,
or its multiply-adds at the second, whichever takes longer. Least: every layer's output is written and read forward,
read again backward, its gradient written and read; BN, ReLU and additions are fused away; caches keep nothing."""


class RunOfImages(RunCLI):
    """A run whose data set is given as tensors, in place of the CIFAR-10 that its config names."""

    def __init__(self, config: dict[str, Any], splits: Splits) -> None:
        self.splits = splits
        super().__init__(config)

    def instantiate(self, **trainer: Any) -> None:
        """As in `RunCLI`; then the tensors replace the data set that the config names."""
        super().instantiate(**trainer)
        assert isinstance(self.datamodule, ImageData)
        self.datamodule.data_set = InMemory(NetConfig().num_classes, SHAPE, lambda root: self.splits)


def rows(depths: list[int], batch_size: int, precision: str, seconds: float, say: Callable[[str], None]) -> list[Row]:
    """A row for each CIFAR ResNet: what a run of it does here, and what the hardware could do.

    Args:
        depths: Layers of the nets, 6n+2.
        batch_size: Images of a batch.
        precision: A key of `DTYPES`.
        seconds: Length of a round; each figure is a median of a handful of rounds.
        say: Called with a line that says what is being measured.

    Raises:
        InputError: There is no such net, a value is out of range, or the memory does not suffice.
    """
    configs = _nets(depths)
    if batch_size < 1:
        raise InputError(f"--batch-size is {batch_size}: write 1 or more")
    if not seconds > 0:
        raise InputError(f"--seconds is {seconds}: write a number above 0, such as 1.5")
    say("measuring the hardware")
    device = gpu_or_cpu()
    limits = alone(hardware, device, DTYPES[precision])
    found = []
    for config in configs:
        say(f"measuring {config}")
        try:
            found.append(alone(row, config, batch_size, precision, seconds, limits))
        except (torch.OutOfMemoryError, BrokenProcessPool):  # the latter: Linux has ended the process
            raise InputError(f"--batch-size is {batch_size}: {config} needs more memory; write a smaller one") from None
    return found


def _nets(depths: list[int]) -> list[NetConfig]:
    try:
        return [NetConfig(depth=depth) for depth in depths]
    except ValueError as error:
        raise InputError(f"--depths: {error}") from None


def alone(function: Callable, *args: Any) -> Any:
    """Call `function` in a process of its own, forked from a server that has imported this module once.

    Raises:
        BrokenProcessPool: The process was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context, end_with_parent) as pool:
        return pool.submit(function, *args).result()


def end_with_parent() -> None:
    """Make this process of a pool end when its parent is killed; else it would wait for ever."""

    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def row(config: NetConfig, batch_size: int, precision: str, seconds: float, limits: Hardware) -> Row:
    """Measure one net in this process."""
    device = gpu_or_cpu()
    keep_freed_memory()
    images = torch.randint(0, 256, (IMAGES, *SHAPE), dtype=torch.uint8)
    labels = torch.randint(0, config.num_classes, (IMAGES,))
    work = least_work(build(config), (batch_size, *SHAPE), DTYPES[precision])
    data = _data(images.to(device), labels.to(device), batch_size)
    a_step = iteration(config, batch_size, precision)
    step = statistics.median(timing.rounds(a_step, device, seconds))
    del a_step
    splits = (images, labels, images[:batch_size], labels[:batch_size])
    steps = max(1, round(seconds / step))
    summary = _whole(config, splits, batch_size, precision, steps)
    assert summary.images_per_second is not None  # the run has windows after the first
    limit = batch_size / limits.seconds(work)
    return {
        "net": str(config),
        "depth": config.depth,
        "batch_size": batch_size,
        "precision": precision,
        "device": device_name(device),
        "data_images_per_second": round(data, 1),
        "step_images_per_second": round(batch_size / step, 1),
        "images_per_second": summary.images_per_second,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "limit_images_per_second": round(limit, 1),
        "percent_of_limit": round(100 * summary.images_per_second / limit, 2),
        "bound": limits.bound(work),
        **{f"least_{name}_of_a_step": value for name, value in asdict(work).items()},
        **{f"{name}_per_second": round(value) for name, value in asdict(limits).items()},
    }


def _data(images: torch.Tensor, labels: torch.Tensor, batch_size: int) -> float:
    stream = BatchStream(images, labels, CropFlip(pixel_mean(images)), batch_size, seed=0)
    return batch_size / statistics.median(timing.rounds(lambda: next(stream), images.device, 0.2))


def iteration(config: NetConfig, batch_size: int, precision: str) -> Callable[[], None]:
    """One iteration of training, on a batch that lies on the device; `precision` is a key of `DTYPES`."""
    device = gpu_or_cpu()
    model = LitResNet(config).to(device)
    optimizer = model.configure_optimizers()
    images = torch.randn(batch_size, *SHAPE, device=device)
    labels = torch.randint(0, config.num_classes, (batch_size,), device=device)
    loss = partial(timing.cross_entropy, model, images, labels, DTYPES[precision])
    return partial(timing.step, loss, optimizer)


def _whole(config: NetConfig, splits: Splits, batch_size: int, precision: str, window: int) -> Summary:
    """The summary of a run over a few logging windows; the first one, which warms up, is not in its images/s.

    Raises:
        InputError: A signal stopped the run.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    steps = (1 + timing.ROUNDS) * window
    cli = RunOfImages(
        {
            "model": {"net": {"depth": config.depth}},
            "data": {"source": "cifar10", "batch_size": batch_size},
            "trainer": {
                "accelerator": gpu_or_cpu().type,
                "devices": 1,
                "precision": precision,
                "max_steps": steps,
                "val_check_interval": steps,
                "log_every_n_steps": window,
            },
        },
        splits,
    )
    with tempfile.TemporaryDirectory() as path, redirect_stderr(io.StringIO()):  # its progress
        folder = RunFolder(path)
        train(cli, folder)
        summary = folder.summary()
    if summary is None:
        raise InputError("the measurement was stopped before its end: start it again")
    return summary


COLUMNS: Columns = {
    "net": lambda r: r["net"],
    "data": lambda r: count(r["data_images_per_second"]),
    "step": lambda r: count(r["step_images_per_second"]),
    "whole": lambda r: count(r["images_per_second"]),
    "memory": lambda r: f"{r['peak_memory_bytes'] / 2**30:.2f} GiB",
    "limit": lambda r: count(r["limit_images_per_second"]),
    "set by": lambda r: r["bound"],
    "of the limit": lambda r: f"{r['percent_of_limit']:.0f} %",
}


def title(rows: list[Row]) -> str:
    """Over the table."""
    return f"Training images/s, batches of {rows[0]['batch_size']}, {rows[0]['precision']}"


def note(rows: list[Row]) -> str:
    """Under the table: the hardware, and what the columns mean."""
    row = rows[0]
    copied, multiplied, dtype = row["bytes_per_second"] / 1e9, row["macs_per_second"] / 1e9, DTYPES[row["precision"]]
    return (
        f"{row['device']}: a copy reads and writes {copied:,.1f} GB/s; a matrix product or convolution of {dtype} does "
        f"{multiplied:,.1f} G multiply-adds/s\n{NOTE}"
    )
