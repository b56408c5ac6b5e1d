"""Short trainings as `fit` does them: twice, killed and resumed, and compiled; are they the same?"""

import hashlib
import os
import signal
import tempfile
from typing import Any

import torch

from lit_resnet.doctor.alone import Broken, alone
from lit_resnet.doctor.finding import Finding, Site, ok, unknown, wrong
from lit_resnet.metrics import IMAGES_PER_SECOND
from lit_resnet.nets import NetConfig
from lit_resnet.probes.device import gpu_or_cpu
from lit_resnet.run.bench import SHAPE, RunOfImages
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import metrics
from lit_resnet.task import CLASSIFICATION
from lit_resnet.training.clock import CheckpointClock

DEPTH, BATCH = 20, 128
STEPS, SAVED, KILLED = 12, 6, 9  # of the short training; where one saves and is killed
WINDOW, WINDOWS = {"cuda": 50, "cpu": 6}, 4  # iterations of the trainings whose speed is compared
CLOSE = 0.02  # relative: losses of a compiled net differ by rounding, which training makes larger
SECONDS, COMPILED_SECONDS = 50.0, 100.0

Rows = list[dict[str, Any]]
Outcome = tuple[Rows, dict[str, str]]


class DiesAt(CheckpointClock):
    """Saves after one iteration and kills the process after a later one, as `kill -9` does; 0 for never."""

    def __init__(self, saved: int = 0, killed: int = 0) -> None:
        super().__init__()
        self._at = saved, killed

    def due(self, step: int) -> bool:
        """Whether to save after this iteration, if the process lives."""
        saved, killed = self._at
        if step == killed:
            os.kill(os.getpid(), signal.SIGKILL)
        return step == saved


def repeat(site: Site) -> list[Finding]:
    """Whether the same training gives the same bits in another process."""
    with tempfile.TemporaryDirectory(prefix="lit-resnet-doctor-") as folder:
        one, two = (trained(f"{folder}/{name}") for name in ("one", "two"))
    if difference := different(one, two):
        return [
            wrong(
                f"two trainings of ResNet-{DEPTH} with the same seed differ after {STEPS} iterations: {difference}",
                "write --set trainer.deterministic=true: else a run that was killed ends other than it would have",
            )
        ]
    return [ok(f"ResNet-{DEPTH} trained twice for {STEPS} iterations: losses and weights are equal bit for bit")]


def resume(site: Site) -> list[Finding]:
    """Whether a training that is killed and resumed gives the bits of one that was not."""
    with tempfile.TemporaryDirectory(prefix="lit-resnet-doctor-") as folder:
        whole = trained(f"{folder}/whole")
        try:
            trained(f"{folder}/killed", saved=SAVED, killed=KILLED)
        except Broken as error:
            if "SIGKILL" not in str(error):
                raise
        else:
            return [unknown("a training that was to be killed has ended by itself")]
        resumed = trained(f"{folder}/killed")
    if difference := different(whole, resumed):
        return [
            wrong(
                f"killed at iteration {KILLED} and resumed at {SAVED}, a training ends otherwise: {difference}",
                "if `repeat` is ok, report it with this output; runs that are never interrupted are right",
            )
        ]
    return [
        ok(f"killed at iteration {KILLED} of {STEPS} and resumed at {SAVED}: losses and weights are equal bit for bit")
    ]


def compiled(site: Site) -> list[Finding]:
    """Whether a compiled net, on a GPU with CUDA graphs, learns the same, and how much faster."""
    kind = gpu_or_cpu().type
    with tempfile.TemporaryDirectory(prefix="lit-resnet-doctor-") as folder:
        eager = trained(f"{folder}/eager", window=WINDOW[kind])
        try:
            fast = trained(f"{folder}/fast", window=WINDOW[kind], compile=True)
        except Broken as error:
            if kind == "cuda":
                raise
            return [unknown(f"compiled nets: {error}")]  # few who train on CPUs have a compiler, or want one
    return [compared(eager, fast)]


def compared(eager: Outcome, fast: Outcome) -> Finding:
    """What the losses and the speeds of a compiled net say beside those of the same net as it is."""
    losses = [[row["train_loss"] for row in rows if row["train_loss"] is not None] for rows, _ in (eager, fast)]
    speeds = [max(row[IMAGES_PER_SECOND.name] or 0 for row in rows) for rows, _ in (eager, fast)]
    off = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    gain = speeds[1] / speeds[0]
    text = (
        f"a compiled ResNet-{DEPTH}: losses within {100 * off:.1g} %, {gain:.2f} times as fast "
        f"({speeds[1]:,.0f} images/s)"
    )
    if not off < CLOSE:
        return wrong(text, "leave model.speed.compile out here, and report it")
    return ok(text, compile_gain=gain)


def trained(path: str, saved: int = 0, killed: int = 0, window: int = 0, compile: bool = False) -> Outcome:
    """The rows of a training in a process of its own, and a digest of each of its last weights.

    Raises:
        Broken: It died.
    """
    return alone(_train, path, saved, killed, window, compile, seconds=COMPILED_SECONDS if compile else SECONDS)


def _train(path: str, saved: int, killed: int, window: int, compile: bool) -> Outcome:
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8 * BATCH, *SHAPE), dtype=torch.uint8, generator=noise)
    labels = torch.randint(0, NetConfig().num_classes, (len(images),), generator=noise)
    steps = WINDOWS * window or STEPS
    config = {
        "seed_everything": 1,
        "model": {"net": {"depth": DEPTH}, "speed": {"compile": compile}},
        "data": {"source": "cifar10", "batch_size": BATCH},
        "trainer": {
            "accelerator": gpu_or_cpu().type,
            "devices": 1,
            "max_steps": steps,
            "val_check_interval": steps,
            "log_every_n_steps": window or 3,
        },
    }
    folder = RunFolder(path)
    splits = (images, labels, images[:BATCH], labels[:BATCH])
    train(RunOfImages(config, splits), folder, clock=DiesAt(saved, killed))
    weights = torch.load(folder.checkpoints / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]
    digests = {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in weights.items()}
    return metrics(CLASSIFICATION).read(folder.path), digests


def different(a: Outcome, b: Outcome) -> str:
    """The first thing in which two trainings differ, times left out; empty where they do not."""
    (rows, weights), (others, also) = a, b
    for row, other in zip(rows, others, strict=True):
        for key in row:
            if key != IMAGES_PER_SECOND.name and row[key] != other[key]:
                return f"{key} of iteration {row['step']} is {row[key]!r} and {other[key]!r}"
    names = [name for name in weights if weights[name] != also[name]]
    return f"{len(names)} of {len(weights)} tensors of weights, such as {names[0]}" if names else ""
