"""How many runs are best side by side: on one GPU, or on the cores of this machine."""

import statistics
from multiprocessing.synchronize import Barrier

import torch

from lit_resnet.doctor.alone import together
from lit_resnet.doctor.finding import Finding, Site, ok, unknown
from lit_resnet.doctor.settings import GAIN
from lit_resnet.launch.pool import CONTEXT, cores
from lit_resnet.nets import NetConfig
from lit_resnet.probes import timing
from lit_resnet.probes.device import gpu_or_cpu
from lit_resnet.run.bench import iteration

DEPTH, BATCH = 20, 128
SECONDS = 2.5  # of a measurement
ON_A_GPU = (1, 2, 4)
ANSWER_SECONDS = 40.0


def look(site: Site) -> list[Finding]:
    """One finding: images/s of several runs together."""
    if gpu_or_cpu().type == "cuda":
        return [gpu({runs: images_per_second(runs, threads=1) for runs in ON_A_GPU})]
    number = len(cores())
    if number == 1:
        return [unknown("runs side by side: there is one core")]
    return [cpu(number, images_per_second(1, number), images_per_second(number, 1))]


def gpu(found: dict[int, float]) -> Finding:
    """The smallest number of runs that is not much slower than the best."""
    best = next(runs for runs, speed in found.items() if speed * GAIN >= max(found.values()))
    words = ", ".join(f"{runs} at a time {speed:,.0f}" for runs, speed in found.items())
    return ok(f"ResNet-{DEPTH} on one GPU, images/s: {words}", runs_per_gpu=best)


def cpu(number: int, one: float, many: float) -> Finding:
    """A run with all cores, beside a run on each of them."""
    return ok(
        f"ResNet-{DEPTH}, images/s: one run with {number} threads {one:,.0f}; {number} runs of one thread {many:,.0f} "
        "together",
        jobs=number if many > one else 1,
    )


def images_per_second(runs: int, threads: int) -> float:
    """Those of several processes that train at the same time, all added up.

    Raises:
        Broken: One of them gave no answer.
    """
    begin = CONTEXT.Barrier(runs)
    return sum(together(_train, [(begin, threads)] * runs, ANSWER_SECONDS))


def _train(begin: Barrier, threads: int) -> float:
    torch.set_num_threads(threads)
    device, work = gpu_or_cpu(), iteration(NetConfig(depth=DEPTH), BATCH, "32-true")
    work()
    timing.synchronize(device)
    begin.wait(ANSWER_SECONDS)
    return BATCH / statistics.median(timing.rounds(work, device, SECONDS / (1 + timing.ROUNDS)))
