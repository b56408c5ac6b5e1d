"""Processes that exchange gradients, as those of a run with several devices do."""

import socket
import time

import torch
import torch.distributed as dist

from lit_resnet.doctor.alone import together
from lit_resnet.doctor.finding import Finding, Site, ok, wrong

FLOATS = 25_000_000  # the weights of a ResNet-50
TIMES = 5
SECONDS = 40.0


def look(site: Site) -> list[Finding]:
    """All GPUs of this machine over NCCL; with one or none, two processes of its cores over gloo."""
    gpus = torch.cuda.device_count()
    backend, processes = ("nccl", gpus) if gpus > 1 else ("gloo", 2)
    found = exchanged(backend, processes)
    name = f"{processes} GPUs over NCCL" if backend == "nccl" else "two processes on the cores over gloo"
    if not found[0]:
        return [
            wrong(f"{name}: sums of gradients are not what they should be", "set NCCL_P2P_DISABLE=1, and report it")
        ]
    text = f"{name}: gradients of {FLOATS / 1e6:.0f} million weights in {1000 * found[1]:,.0f} ms"
    return [ok(text if gpus > 1 else f"{text}; NCCL needs two GPUs, and was not checked", exchange_seconds=found[1])]


def exchanged(backend: str, processes: int) -> tuple[bool, float]:
    """Whether sums over all processes are right, and the seconds of one.

    Raises:
        Broken: It hangs, or a process died.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = together(_sums, [(backend, rank, processes, port) for rank in range(processes)], SECONDS)
    return all(right for right, _ in found), found[0][1]


def _sums(backend: str, rank: int, processes: int, port: int) -> tuple[bool, float]:
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, f"tcp://127.0.0.1:{port}", world_size=processes, rank=rank)
    ones, times, right = torch.empty(FLOATS, device=device), [], True
    for _ in range(TIMES):
        ones.fill_(rank + 1)
        start = time.perf_counter()
        dist.all_reduce(ones)
        right &= bool((ones == processes * (processes + 1) / 2).all())
        times.append(time.perf_counter() - start)
    dist.destroy_process_group()
    return right, min(times)
