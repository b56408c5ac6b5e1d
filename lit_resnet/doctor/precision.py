"""bfloat16 and TF32: are their results right, and how much faster does a net train?"""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lit_resnet.doctor.finding import Finding, Site, ok, unknown, wrong
from lit_resnet.doctor.settings import GAIN
from lit_resnet.nets import NetConfig
from lit_resnet.probes import timing
from lit_resnet.probes.device import full_precision, gpu_or_cpu
from lit_resnet.run.bench import iteration

SIDE = 512  # of the matrices
DEPTH, BATCH = 20, 128
SECONDS = 0.5


def look(site: Site) -> list[Finding]:
    """A finding for the speed of bfloat16 and its rounding; on a GPU, one for TF32."""
    device = gpu_or_cpu()
    plain = images_per_second(device, torch.float32)
    return [bfloat16(device, plain), tf32(device, plain)]


def bfloat16(device: torch.device, plain: float) -> Finding:
    """Whether `trainer.precision=bf16-mixed` is right and pays."""
    off = error_of(device, torch.bfloat16)
    if not off < 2 * torch.finfo(torch.bfloat16).eps:
        return wrong(
            f"bfloat16: a product of matrices is {100 * off:.2g} % off",
            "train with trainer.precision=32-true, and report it",
        )
    gain = images_per_second(device, torch.bfloat16) / plain
    text = f"bfloat16: right to {100 * off:.1g} %; ResNet-{DEPTH} trains {gain:.2f} times as fast as in 32-bit floats"
    if gain < GAIN:
        return ok(f"{text}: not worth it here", bf16_gain=gain)
    return ok(text, bf16_gain=gain)


def tf32(device: torch.device, plain: float) -> Finding:
    """Whether `model.tf32` is right and pays."""
    if device.type != "cuda":
        return unknown("TF32: of GPUs alone")
    if torch.cuda.get_device_capability(device) < (8, 0):
        return ok("TF32: this GPU has none (Ampere and later do)")
    with in_tf32():
        off, gain = error_of(device, torch.float32), images_per_second(device, torch.float32) / plain
    if not off < 2**-9:
        return wrong(f"TF32: a product of matrices is {100 * off:.2g} % off", "leave model.tf32 out, and report it")
    return ok(f"TF32: right to {100 * off:.1g} %; ResNet-{DEPTH} trains {gain:.2f} times as fast", tf32_gain=gain)


@contextmanager
def in_tf32() -> Iterator[None]:
    """Let the GPU compute in TF32."""
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        full_precision()


def error_of(device: torch.device, dtype: torch.dtype) -> float:
    """How far a product of matrices in `dtype` is off, relative to one of 64 bits on the CPU (Frobenius norm)."""
    noise = torch.Generator().manual_seed(0)
    a, b = (torch.randn(SIDE, SIDE, generator=noise, dtype=torch.float64) for _ in range(2))
    found: Tensor = (a.to(device, dtype) @ b.to(device, dtype)).cpu().double()
    exact = a @ b
    return ((found - exact).norm() / exact.norm()).item()


def images_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Training speed of the net, by the batch alone."""
    precision = {torch.float32: "32-true", torch.bfloat16: "bf16-mixed"}[dtype]
    work = iteration(NetConfig(depth=DEPTH), BATCH, precision)
    return BATCH / statistics.median(timing.rounds(work, device, SECONDS))
