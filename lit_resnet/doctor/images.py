"""JPEGs: how fast a core decodes them, and whether a GPU decodes them alike."""

import statistics

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

from lit_resnet.data.reading import default_workers
from lit_resnet.doctor.finding import Finding, Site, advice, ok, unknown
from lit_resnet.probes import timing
from lit_resnet.probes.device import gpu_or_cpu

# Sizes, and with the grain (levels) also bytes, are about those of ImageNet's photographs.
HEIGHT, WIDTH, QUALITY, NUMBER, GRAIN = 375, 500, 95, 16, 9.0
SECONDS = 0.5
ALIKE = 1.0  # levels of 255, in the mean: decoders round differently


def look(site: Site) -> list[Finding]:
    """One finding for the cores, and one for the GPU."""
    files = [_jpeg(picture(seed)) for seed in range(NUMBER)]
    return [cores(files), gpu(files)]


def _jpeg(image: Tensor) -> Tensor:
    """A file's bytes, uint8 [n]."""
    found = encode_jpeg(image, QUALITY)
    assert isinstance(found, Tensor)  # it makes a list of a list alone
    return found


def picture(seed: int) -> Tensor:
    """Something with the smooth areas and the edges of a photograph: uint8 [3, H, W]."""
    noise = torch.Generator().manual_seed(seed)
    shape = torch.zeros(1, 3, HEIGHT, WIDTH)
    for cells in (3, 12, 48, 192):
        rough = torch.rand(1, 3, cells, cells, generator=noise)
        shape += torch.nn.functional.interpolate(rough, (HEIGHT, WIDTH), mode="bicubic") / cells**0.5
    grain = GRAIN * torch.randn(shape.shape, generator=noise)
    return (255 * shape / shape.max() + grain).clamp(0, 255).byte()[0]


def cores(files: list[Tensor]) -> Finding:
    """How many images/s workers decode."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    work = lambda: [decode_jpeg(file, ImageReadMode.RGB) for file in files]  # noqa: E731
    one = NUMBER / statistics.median(timing.rounds(work, cpu, SECONDS))
    workers = default_workers(max(1, torch.cuda.device_count()))
    kilobytes = sum(len(file) for file in files) / NUMBER / 1000
    return ok(
        f"a core decodes {one:,.0f} JPEGs/s of {WIDTH}x{HEIGHT} ({kilobytes:.0f} kB), {workers} workers up to "
        f"{one * workers:,.0f}",
        decoded_per_second=one,
    )


def gpu(files: list[Tensor]) -> Finding:
    """Whether the GPU's decoder gives the CPU's pixels, and its speed."""
    device = gpu_or_cpu()
    if device.type == "cpu":
        return unknown("JPEGs decoded by a GPU (data.photographs.decode=device): there is none")
    try:
        found = decode_jpeg(files, ImageReadMode.RGB, device)
    except RuntimeError as error:
        return advice(
            f"this GPU decodes no JPEGs: {' '.join(str(error).split())[:200]}",
            "leave the decoding to the cores, as is the default",
        )
    off = max(
        (image.cpu().float() - right.float()).abs().mean().item()
        for image, right in zip(found, decode_jpeg(files, ImageReadMode.RGB), strict=True)
    )
    if not off < ALIKE:
        return advice(
            f"this GPU's JPEGs differ from the CPU's by {off:.1f} levels in the mean",
            "leave the decoding to the cores, as is the default: errors would differ a little",
        )
    work = lambda: decode_jpeg(files, ImageReadMode.RGB, device)  # noqa: E731
    speed = NUMBER / statistics.median(timing.rounds(work, device, SECONDS))
    return ok(
        f"the GPU decodes {speed:,.0f} JPEGs/s, within {off:.2f} levels of the CPU's", gpu_decoded_per_second=speed
    )
