"""Memory and speed of each GPU, or of the CPU and its share of this machine."""

import os
from pathlib import Path

import torch

from lit_resnet.data.reading import default_workers
from lit_resnet.doctor.finding import Finding, Site, advice, ok
from lit_resnet.launch.pool import cores
from lit_resnet.probes.device import device_name
from lit_resnet.probes.limits import hardware

TAKEN = 0.1  # of a GPU's memory: more is another's
BUSY = 0.5  # of the cores: more is other people's work, beside which nothing can be measured
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def look(site: Site) -> list[Finding]:
    """One finding for each GPU, and one for the cores."""
    return [gpu(index) for index in range(torch.cuda.device_count())] + [cpu()]


def gpu(index: int) -> Finding:
    """Name, memory and speed of a GPU; and whether somebody else uses it."""
    device = torch.device("cuda", index)
    free, total = torch.cuda.mem_get_info(device)
    before = total - free
    with torch.cuda.device(device):
        speed = hardware(device, torch.bfloat16)
    text = (
        f"GPU {index}: {torch.cuda.get_device_name(device)}, {total / 2**30:.0f} GiB, copies "
        f"{speed.bytes / 1e9:,.0f} GB/s, {speed.macs / 1e12:,.0f} T multiply-adds/s in bfloat16"
    )
    if before > TAKEN * total + CONTEXT_BYTES:
        return advice(
            f"{text}; {before / 2**30:.1f} GiB of it are taken",
            "nvidia-smi says by whom: wait for him, or choose other GPUs by CUDA_VISIBLE_DEVICES",
            gpu_memory=total,
        )
    return ok(text, gpu_memory=total)


CONTEXT_BYTES = 1 << 30  # what this process itself may have there


def cpu() -> Finding:
    """The cores that runs may use, and whether they are theirs alone."""
    number, load = len(cores()), os.getloadavg()[0]
    speed = hardware(torch.device("cpu"), torch.float32)
    text = (
        f"{device_name(torch.device('cpu')).rpartition(',')[0]}: {number} of {os.cpu_count()} cores, "
        f"{memory() / 2**30:.0f} GiB, copies {speed.bytes / 1e9:,.1f} GB/s"
    )
    measured = {"cores": number, "workers": default_workers(max(1, torch.cuda.device_count()))}
    if (share := quota(QUOTA)) and share < number:
        return advice(
            f"{text}; but its container may use only {share:g} cores' time",
            f"start it with as many cores as it may use (taskset, cpuset), or write --jobs {max(1, int(share))}",
            **measured,
        )
    if load > BUSY * number + 1:  # this doctor itself is 1
        return advice(
            f"{text}; others keep {load - 1:.1f} cores busy",
            "measure again when it is quiet: the speeds below are lower than they would be",
            **measured,
        )
    return ok(text, **measured)


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def quota(file: Path) -> float | None:
    """The cores' time that a container may use at a time; None where it is not limited or the system does not say."""
    try:
        most, period = file.read_text(encoding="ascii").split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError):
        return None
