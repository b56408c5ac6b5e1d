"""Images/s of photographs in archives beside those in a folder: through the loader of a run; and how many files."""

import argparse
import os
import statistics
import time
from pathlib import Path

import torch

from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.reading import default_workers


def rate(root: Path, batches: int, photographs: Photographs) -> float:
    """Training images/s of a folder, or of the archives in it; without the first batches, which are read ahead."""
    data = ImageData("imagenet", str(root), batch_size=64, photographs=photographs, stretch=1)
    data.setup("fit")
    stream = iter(data.train_dataloader())
    for _ in range(4):
        next(stream)
    start = time.perf_counter()
    for _ in range(batches):
        next(stream)
    taken = time.perf_counter() - start
    data.teardown("fit")
    return batches * 64 / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs: train/<class>/ and val/")
    parser.add_argument("archives", type=Path, help="the same in archives: lit-resnet shrink FOLDER ARCHIVES --tars 10")
    parser.add_argument("--rounds", type=int, default=9, help="the median of these is printed (default: %(default)s)")
    parser.add_argument("--batches", type=int, default=30, help="of 64 images (default: %(default)s)")
    parser.add_argument("--short-side", type=int, nargs=2, default=[256, 480], metavar="N", help="see Photographs")
    parser.add_argument("--crop", type=int, default=224, help="see Photographs")
    parser.add_argument("--workers", type=int, default=default_workers(), help="processes (default: %(default)s)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    sizes = Photographs(tuple(args.short_side), args.crop, max(args.crop, args.short_side[0]), workers=args.workers)
    rates: dict[Path, list[float]] = {args.folder: [], args.archives: []}
    for number in range(args.rounds + 1):
        for root in rates if number % 2 else reversed(rates):
            measured = rate(root, args.batches, sizes)
            rates[root] += [measured] if number else []  # the first round reads the files into memory
    for root, values in rates.items():
        files = sum(len(names) for _, _, names in os.walk(root))
        spread = f"{min(values):,.0f} to {max(values):,.0f}"
        print(f"{root}: {statistics.median(values):,.0f} images/s ({spread}), {files} files")
    ratios = [ours / theirs for ours, theirs in zip(rates[args.archives], rates[args.folder], strict=True)]
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
