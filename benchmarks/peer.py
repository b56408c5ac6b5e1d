"""Training images/s against akamaster/pytorch_resnet_cifar10, end to end: each package as its user runs it.

    git clone https://github.com/akamaster/pytorch_resnet_cifar10 peer
    python benchmarks/peer.py --peer peer

Theirs: `main()` of their trainer.py with its defaults, so their net, loop, transforms, batches of 128 and 4 loader
workers. Changed from outside are three things only: where there is no GPU `.cuda()` does nothing; the checksums of
generated images are not asked for; and the DataLoader notes the time at which each batch is asked for, and ends the
training when enough were. Ours: a run from its config as `lit-resnet fit` trains it, with metrics, heartbeat and
checkpoints, in 32-bit floats and in bf16-mixed.

Both read the same CIFAR-10 files (`--images`; else random images in that format), use the same number of threads, and
take turns, each time in a process of its own. A third of the iterations warms up and is not counted: the first ones
after loader workers were forked are slow. The ratios are taken round by round. `--jobs N` runs N of ours at once, for
a GPU that one run does not fill, and counts the images of all; the peer always runs alone. The limit is that of
`lit-resnet bench`: the least work of a training step at the best speed that this hardware shows in that precision.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback
from torchvision.datasets import CIFAR10

from lit_resnet.data import sources
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.device import gpu_or_cpu
from lit_resnet.probes.limits import hardware, least_work
from lit_resnet.run.bench import DTYPES, RunOfImages, alone, end_with_parent
from lit_resnet.run.run import device_name, train
from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import CLASSIFICATION

METRICS = records.metrics(CLASSIFICATION)

BATCH = 128
WINDOWS = 3  # of a round; the first one warms up
DEPTHS = (20, 32, 44, 56, 110, 1202)  # that the peer has


def write_images(root: Path) -> None:
    """Random images in the files of CIFAR-10's Python version."""
    folder = root / CIFAR10.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        images, labels = rng.integers(0, 256, (10_000, 3 * 32 * 32), np.uint8), rng.integers(0, 10, 10_000).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": images, "labels": labels}))
    (folder / CIFAR10.meta["filename"]).write_bytes(pickle.dumps({CIFAR10.meta["key"]: list("0123456789")}))


def accept_generated() -> None:
    """Let torchvision read them, although they have other checksums than the real ones."""
    CIFAR10.train_list = [(name, None) for name, _ in CIFAR10.train_list]
    CIFAR10.test_list = [(name, None) for name, _ in CIFAR10.test_list]
    CIFAR10.meta = CIFAR10.meta | {"md5": None}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What the two print while they train is not shown."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class Enough(Exception):
    """The peer has done the iterations that are measured."""


def peer(path: Path, images: Path, depth: int, window: int, start_method: str) -> float:
    """Images/s of the peer's trainer, in this process; its loader's workers are started as they are by default."""
    multiprocessing.set_start_method(start_method, force=True)
    times: list[float] = []

    class Loader(torch.utils.data.DataLoader):
        def __iter__(self) -> Iterator:
            for batch in super().__iter__():
                yield batch
                times.append(time.perf_counter())  # the next one is asked for
                if len(times) == WINDOWS * window:
                    raise Enough

    accept_generated()
    if not torch.cuda.is_available():
        torch.Tensor.cuda = torch.nn.Module.cuda = lambda self: self
    torch.utils.data.DataLoader = Loader
    sys.path.insert(0, str(path))
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        Path("data").symlink_to(images)
        sys.argv = ["trainer.py", "--arch", f"resnet{depth}"]
        with silence(), contextlib.suppress(Enough):
            import trainer

            trainer.main()
    return (len(times) - window) * BATCH / (times[-1] - times[window - 1])


class Start(Callback):
    """Waits until all runs that are measured together are ready to train."""

    barrier: Barrier

    def on_train_start(self, *_: Any) -> None:
        self.barrier.wait()


def share(barrier: Barrier) -> None:
    """Give a process of a pool the barrier of all."""
    Start.barrier = barrier
    end_with_parent()


class Run(RunOfImages):
    """A run that begins when the others do."""

    def instantiate(self, **trainer: Any) -> None:
        trainer["callbacks"].append(Start())
        super().instantiate(**trainer)


class Kind(NamedTuple):
    """A way in which our run trains."""

    precision: str
    compile: bool = False

    def __str__(self) -> str:
        return self.precision + " compiled" * self.compile


def ours(images: Path, depth: int, window: int, kind: Kind, threads: int) -> float:
    """Images/s of one run of ours, in this process."""
    accept_generated()
    torch.set_num_threads(threads)
    config = {
        "model": {"net": {"depth": depth}, "speed": {"compile": kind.compile}},
        "data": {"source": "cifar10", "batch_size": BATCH},
        "trainer": {
            "accelerator": gpu_or_cpu().type,
            "devices": 1,
            "precision": kind.precision,
            "max_steps": WINDOWS * window,
            "val_check_interval": WINDOWS * window,
            "log_every_n_steps": window,
        },
    }
    train_images, train_labels, *test = sources.cifar10(images)
    splits = train_images, train_labels, *(part[:BATCH] for part in test)  # the evaluation is not what is measured
    with tempfile.TemporaryDirectory() as path, silence():
        folder = RunFolder(path)
        train(Run(config, splits), folder)
        speeds = [row["images_per_second"] for row in METRICS.read(folder.path)]
        return statistics.harmonic_mean(speed for speed in speeds if speed is not None)


def together(jobs: int, *args: Any) -> float:
    """Images/s of `jobs` runs of ours at once."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(jobs, context, share, (context.Barrier(jobs),)) as pool:
        return sum(run.result() for run in [pool.submit(ours, *args) for _ in range(jobs)])


def summary(values: list[float], form: str) -> str:
    """`1.41 (1.38 to 1.45)`: median and range."""
    return "{} ({} to {})".format(*(format(f(values), form) for f in (statistics.median, min, max)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a clone of akamaster/pytorch_resnet_cifar10")
    parser.add_argument("--images", type=Path, help="folder that has cifar-10-batches-py; default: random images")
    parser.add_argument("--depth", type=int, choices=DEPTHS, default=20, help="layers (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--window", type=int, help="iterations, a third of a round's, 130 at most (default: 20, on a GPU 130)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs of ours at once (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="also ours with model.speed.compile")
    args = parser.parse_args()
    if not (args.peer / "trainer.py").exists():
        parser.error(f"--peer {args.peer}: has no trainer.py; clone the repository there")
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]  # one for each

    device = gpu_or_cpu()
    window = args.window or {"cpu": 20, "cuda": 130}[device.type]
    if not 0 < WINDOWS * window <= 50_000 // BATCH:
        parser.error(f"--window is {window}: write 1 to 130, for the peer's validation follows after 390 iterations")
    our_window = window * {"cpu": 1, "cuda": 20}[device.type]  # to last about as long as theirs
    threads = max(1, torch.get_num_threads() // args.jobs)
    net = build(NetConfig(depth=args.depth))
    limits = {}
    for precision, dtype in DTYPES.items():
        least = least_work(net, (BATCH, 3, 32, 32), dtype)
        limits[precision] = BATCH / alone(hardware, device, dtype).seconds(least)
    kinds = [
        Kind(precision, compiled) for compiled in ((False, True) if args.compile else (False,)) for precision in DTYPES
    ]
    theirs_by_round: list[float] = []
    by_kind: dict[Kind, list[float]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as place:
        images = args.images or Path(place)
        if args.images is None:
            write_images(images)
        for _ in range(args.rounds):
            theirs = (args.peer.resolve(), images.resolve(), args.depth, window, multiprocessing.get_start_method())
            theirs_by_round.append(alone(peer, *theirs))
            for kind, values in by_kind.items():
                values.append(together(args.jobs, images, args.depth, our_window, kind, threads))
            measured = {"peer": theirs_by_round, **by_kind}
            print(", ".join(f"{name} {values[-1]:,.0f}" for name, values in measured.items()), file=sys.stderr)

    print(f"ResNet-{args.depth}, batches of {BATCH}, {device_name(device)}, {args.rounds} rounds; images/s:")
    share_of_limit = 100 * statistics.median(theirs_by_round) / limits["32-true"]
    print(f"peer: {summary(theirs_by_round, ',.0f')}, {share_of_limit:.0f} % of the limit")
    for kind, values in by_kind.items():
        ratios = [our / its for our, its in zip(values, theirs_by_round, strict=True)]
        print(
            f"lit_resnet {kind}{f', {args.jobs} runs' if args.jobs > 1 else ''}: {summary(values, ',.0f')}, "
            f"{100 * statistics.median(values) / limits[kind.precision]:.0f} % of the limit; "
            f"ratio {summary(ratios, '.2f')}"
        )


if __name__ == "__main__":
    main()
