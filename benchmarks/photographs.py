"""Images/s of ImageNet's training input: the classic pipeline and ours on one core, and ours by worker processes.

With simplejpeg at hand (`uv run --with simplejpeg python benchmarks/photographs.py ...`) also what the loader makes of
the decoder: its rate over that of as many processes as there are cores, which do nothing but decode the same files with
libjpeg-turbo, from memory, into one buffer.
"""

import argparse
import itertools
import math
import statistics
import tempfile
import time
from importlib.util import find_spec
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from lit_resnet.data.augment import draw_colours
from lit_resnet.data.crops import PORTION, Draw, Places, read_crops, rooms_for
from lit_resnet.data.layout import EXTENSIONS
from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs, Span
from lit_resnet.data.reading import AHEAD, default_workers
from lit_resnet.run.run import keep_freed_memory

PAPER = Photographs()
BATCH = 256


def draw_places(files: list[str], seed: int) -> list[Places]:
    """The paper's views of the files, drawn anew, in portions as a worker gets them."""
    rng, n = np.random.default_rng(seed), len(files)
    sides = rng.integers(*PAPER.short_side, n, endpoint=True).tolist()
    draws = map(Draw, sides, rng.random(n).tolist(), rng.random(n).tolist(), (rng.random(n) < 0.5).tolist())
    labels, colours = np.zeros(n, np.int64), draw_colours(n, PAPER.colour, rng)
    return list(Places(files, labels, list(draws), colours).portions())


def classic_crop(file: str, draw: Draw) -> Image.Image:
    """The view by PIL: the whole image resized, then cropped and mirrored."""
    with open(file, "rb") as content:
        image = Image.open(content).convert("RGB")
    size, top, left = draw.window(image.height, image.width, PAPER.crop)
    image = functional.resize(image, size)  # bilinear and antialiased, as PIL is
    image = functional.crop(image, top, left, PAPER.crop, PAPER.crop)
    return functional.hflip(image) if draw.flip else image


TO_FLOAT = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
)


def classic(portions: list[Places]) -> None:
    for places in portions:
        pairs = zip(places.files, places.draws, strict=True)
        torch.stack([TO_FLOAT(classic_crop(file, draw)) for file, draw in pairs])


def ours(portions: list[Places]) -> None:
    (room,) = rooms_for(1, PAPER)
    for places in portions:
        read_crops(places, room, PAPER)


def side_by_side(files: list[str], rounds: int) -> None:
    ratios: list[float] = []
    rates: dict[str, list[float]] = {"classic": [], "ours": []}
    for number in range(rounds + 1):
        portions = draw_places(files, seed=number)
        seconds = {}
        for pipeline in (classic, ours) if number % 2 else (ours, classic):
            start = time.process_time()  # of one core, also where others want it
            pipeline(portions)
            seconds[pipeline.__name__] = time.process_time() - start
        if number > 0:  # the first round reads the files into memory
            ratios.append(seconds["classic"] / seconds["ours"])
            for name in rates:
                rates[name].append(len(files) / seconds[name])
    for name, values in rates.items():
        print(f"{name}: {statistics.median(values):,.0f} images/s (from {min(values):,.0f} to {max(values):,.0f})")
    print(f"ratio: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def differences(files: list[str]) -> None:
    """Of pixels, from those that PIL makes of the same part of the photograph."""
    most, total, (room,) = 0, 0.0, rooms_for(1, PAPER)
    for places in draw_places(files, seed=0):
        read_crops(places, room, PAPER)
        for view, file, draw in zip(room, places.files, places.draws, strict=False):
            with Image.open(file) as image:
                size, top, left = draw.window(image.height, image.width, PAPER.crop)
                steps = [image.width / size[1], image.height / size[0]]
                spans = [Span.of(*side, PAPER.crop) for side in zip(image.size, size[::-1], (left, top), strict=True)]
                start = [span.begin + span.skipped * step for span, step in zip(spans, steps, strict=True)]
                end = [
                    min(at + PAPER.crop * step, full) for at, step, full in zip(start, steps, image.size, strict=True)
                ]
                reference = image.convert("RGB").resize((PAPER.crop,) * 2, Image.Resampling.BILINEAR, (*start, *end))
            reference = functional.hflip(reference) if draw.flip else reference
            difference = (view.int() - torch.from_numpy(np.array(reference)).int()).abs()
            most = max(most, int(difference.max()))
            total += float(difference.float().mean())
    print(f"pixels differ by {total / len(files):.4f} of 255 levels on average and by {most} at most")


class Loader:
    """The loader that a run has, on the CPU; and how many images/s come from it."""

    def __init__(self, files: list[str], folder: str, workers: int) -> None:
        for split, part in (("train", files), ("val", files[:1])):
            place = Path(folder) / split / "photographs"
            place.mkdir(parents=True)
            for number, file in enumerate(part):
                (place / f"{number}{Path(file).suffix}").symlink_to(Path(file).resolve())
        reading = Photographs(workers=workers)
        self.data = ImageData("imagenet", folder, batch_size=BATCH, photographs=reading, stretch=1)
        self.data.setup("fit")
        self.stream = iter(self.data.train_dataloader())
        self.ahead = 2 + AHEAD * workers * PORTION // BATCH

    def rate(self, batches: int) -> float:
        """Images/s, when all that was read ahead has been taken."""
        for _ in range(self.ahead):
            next(self.stream)
        start = time.perf_counter()
        for _ in range(batches):
            next(self.stream)
        return batches * BATCH / (time.perf_counter() - start)

    def close(self) -> None:
        self.data.teardown("fit")


def by_workers(files: list[str], numbers: list[int], batches: int) -> None:
    for workers in numbers:
        with tempfile.TemporaryDirectory() as folder:
            loader = Loader(files, folder, workers)
            print(f"{workers} workers: {loader.rate(batches):,.0f} images/s")
            loader.close()


def decode_alone(files: list[str], wanted: int) -> float:
    """Images/s of one process that decodes files from memory, `wanted` of them."""
    import simplejpeg  # pyright: ignore[reportMissingImports]

    contents = [Path(file).read_bytes() for file in files]
    room = bytearray(3 * max(math.prod(simplejpeg.decode_jpeg_header(content)[:2]) for content in contents))
    for content in contents:
        simplejpeg.decode_jpeg(content, strict=False, buffer=room)
    start = time.perf_counter()
    for content in itertools.islice(itertools.cycle(contents), wanted):
        simplejpeg.decode_jpeg(content, strict=False, buffer=room)
    return wanted / (time.perf_counter() - start)


def against_the_decoder(files: list[str], batches: int, rounds: int) -> None:
    """The loader with a worker a core, and the decoder alone in a process a core, in turn."""
    cores, ratios = default_workers(), []
    with Pool(cores) as pool:
        for _ in range(rounds):
            alone = sum(pool.starmap(decode_alone, [(files, batches * BATCH // cores)] * cores, chunksize=1))
            with tempfile.TemporaryDirectory() as folder:
                loader = Loader(files, folder, cores)
                ours = loader.rate(batches)
                loader.close()
            ratios.append(ours / alone)
            print(f"{cores} cores: the decoder alone {alone:,.0f} images/s, the loader {ours:,.0f}")
    print(f"ratio: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs, such as one class of ImageNet")
    parser.add_argument("--images", type=int, default=500, help="how many of them (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="the median of these is printed (default: %(default)s)")
    parser.add_argument("--batches", type=int, default=12, help="for a number of workers (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="*", help="numbers of them (default: 0, 1, 2, 4, ... cores)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    keep_freed_memory()  # as runs do
    files = sorted(str(path) for path in args.folder.rglob("*") if path.suffix.lower() in EXTENSIONS)[: args.images]
    if not files:
        parser.error(f"{args.folder}: has no images")
    side_by_side(files, args.rounds)
    differences(files)
    cores = default_workers()
    by_workers(
        files, [0, *(n for n in (1, 2, 4, 8, 16) if n <= cores)] if args.workers is None else args.workers, args.batches
    )
    if find_spec("simplejpeg"):
        against_the_decoder(files, args.batches, args.rounds)


if __name__ == "__main__":
    main()
