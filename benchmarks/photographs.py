"""Images/s of ImageNet's training input: the classic pipeline and ours on one core, and ours by worker processes."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from lit_resnet.data.augment import draw_colours
from lit_resnet.data.crops import PORTION, Draw, Places, read_crops
from lit_resnet.data.layout import EXTENSIONS
from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.reading import default_workers

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
    for places in portions:
        read_crops(places, PAPER)


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
    """Of pixels, for the same draws."""
    most, total = 0, 0.0
    for places in draw_places(files, seed=0):
        for view, file, draw in zip(read_crops(places, PAPER).images, places.files, places.draws, strict=True):
            reference = torch.from_numpy(np.array(classic_crop(file, draw))).permute(2, 0, 1)
            difference = (view.int() - reference.int()).abs()
            most = max(most, int(difference.max()))
            total += float(difference.float().mean())
    print(f"pixels differ by {total / len(files):.4f} of 255 levels on average and by {most} at most")


def by_workers(files: list[str], numbers: list[int], batches: int) -> None:
    """Through the loader that a run has, on the CPU, with the first batches left out."""
    with tempfile.TemporaryDirectory() as folder:
        for split, part in (("train", files), ("val", files[:1])):
            place = Path(folder) / split / "photographs"
            place.mkdir(parents=True)
            for number, file in enumerate(part):
                (place / f"{number}{Path(file).suffix}").symlink_to(Path(file).resolve())
        for workers in numbers:
            reading = Photographs(workers=workers)
            data = ImageData("imagenet", folder, batch_size=BATCH, photographs=reading, stretch=1)
            data.setup("fit")
            stream = iter(data.train_dataloader())
            for _ in range(2 + 2 * workers * PORTION // BATCH):  # and all that is read ahead
                next(stream)
            start = time.perf_counter()
            for _ in range(batches):
                next(stream)
            rate = batches * BATCH / (time.perf_counter() - start)
            data.teardown("fit")
            print(f"{workers} workers: {rate:,.0f} images/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs, such as one class of ImageNet")
    parser.add_argument("--images", type=int, default=500, help="how many of them (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="the median of these is printed (default: %(default)s)")
    parser.add_argument("--batches", type=int, default=12, help="for a number of workers (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="*", help="numbers of them (default: 0, 1, 2, 4, ... cores)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    files = sorted(str(path) for path in args.folder.rglob("*") if path.suffix.lower() in EXTENSIONS)[: args.images]
    if not files:
        parser.error(f"{args.folder}: has no images")
    side_by_side(files, args.rounds)
    differences(files)
    cores = default_workers()
    by_workers(
        files, [0, *(n for n in (1, 2, 4, 8, 16) if n <= cores)] if args.workers is None else args.workers, args.batches
    )


if __name__ == "__main__":
    main()
