"""Python, torch and the CUDA that it was built for, and the driver."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from lit_resnet.doctor.finding import Finding, Site, ok, wrong

PACKAGES = ("torch", "torchvision", "lightning", "lit-resnet")
DRIVER_FILES = Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/nvidiactl")


def look(site: Site) -> list[Finding]:
    """One finding: the versions, or why torch cannot use what is here."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    text = f"Python {platform.python_version()}, {versions}"
    if missing := operators_missing():
        return [
            wrong(f"{text}: {missing}", "install torch and torchvision from one index, both for CUDA or both for CPUs")
        ]
    if not torch.cuda.is_available():
        return [without_gpu(text)]
    built = torch.cuda.get_arch_list()
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        if not runs_on(built, major, minor):
            return [
                wrong(
                    f"{text}: torch is not built for {torch.cuda.get_device_name(index)} (sm_{major}{minor}), but for "
                    f"{' '.join(built)}",
                    "install another build of torch: https://pytorch.org/get-started/locally",
                )
            ]
    return [ok(f"{text}, for CUDA {torch.version.cuda}{driver()}", gpus=torch.cuda.device_count())]


def operators_missing() -> str:
    """What torchvision cannot do, where it was built for another torch; empty where it can."""
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except (AttributeError, RuntimeError):
        return "torchvision's operators are missing, as it was built for another torch"
    return ""


def without_gpu(text: str) -> Finding:
    """Nothing wrong where there is no GPU; but a driver without a GPU that torch can use is."""
    if not (any(file.exists() for file in DRIVER_FILES) or shutil.which("nvidia-smi")):
        return ok(f"{text}; no GPU and no driver of one", gpus=0)
    if torch.version.cuda is None:
        return wrong(
            f"{text}: there is an NVIDIA driver, but torch is built without CUDA",
            "install a build with CUDA: https://pytorch.org/get-started/locally",
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return wrong(
            f"{text}: CUDA_VISIBLE_DEVICES hides all GPUs", "unset CUDA_VISIBLE_DEVICES, or ask Slurm for a GPU"
        )
    try:
        torch.cuda.init()
        why = "it counts no GPU"
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split())
    return wrong(
        f"{text}, for CUDA {torch.version.cuda}{driver()}: torch can use no GPU: {why}",
        "ask Slurm for a GPU (gres), update the driver, or install a torch for an older CUDA",
    )


def runs_on(built: list[str], major: int, minor: int) -> bool:
    """Whether code for these architectures (`sm_90`, `compute_90`) runs on a GPU of this compute capability.

    Binaries (sm) run on the same major version from their minor version on; the virtual code (compute) on all later.
    """
    for name in built:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdigit():
            continue
        of_major, of_minor = int(digits[:-1]), int(digits[-1])
        if kind == "sm" and of_major == major and of_minor <= minor:
            return True
        if kind == "compute" and (of_major, of_minor) <= (major, minor):
            return True
    return False


def driver() -> str:
    """`, driver 580.65`, where nvidia-smi says so."""
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    lines = done.stdout.split()
    return f", driver {lines[0]}" if done.returncode == 0 and lines else ""
