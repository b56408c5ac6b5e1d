"""The device of this machine that nets are trained and measured on, and its name."""

import platform
import re
from pathlib import Path

import torch


def gpu_or_cpu() -> torch.device:
    """The GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def full_precision() -> None:
    """Let a GPU compute in 32-bit floats, which reported errors are those of, and not in TF32."""
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def device_name(device: torch.device) -> str:
    """The device in words: `NVIDIA H100 80GB HBM3`, or `AMD EPYC 9B14, 1 thread`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        name = found[1] if found else name
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
