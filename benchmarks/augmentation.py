"""Images/s of the training input on one core: torchvision's per-sample pipeline and ours, alternating in one run."""

import argparse
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from lit_resnet.data.augment import CropFlip, pixel_mean
from lit_resnet.data.stream import BatchStream

BATCH = 128


class PerSample(Dataset):
    """As torchvision's CIFAR10: an array, made into a PIL image and transformed one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (1.0, 1.0, 1.0)),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def rate(batches: Iterator, n: int) -> float:
    """Images/s over n batches."""
    start = time.perf_counter()
    for _ in range(n):
        next(batches)
    return n * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="random images of 3x32x32 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="the median of these is printed (default: %(default)s)")
    args = parser.parse_args()

    torch.set_num_threads(1)
    images = torch.randint(0, 256, (args.images, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(0, 10, (args.images,))
    per_sample = PerSample(images.permute(0, 2, 3, 1).contiguous().numpy(), labels.numpy())
    endless = RandomSampler(per_sample, replacement=True, num_samples=10**9)
    loader = DataLoader(per_sample, BATCH, sampler=endless)
    contenders = {  # what is measured, and batches a round: about a second each
        "torchvision, per sample": (iter(loader), 40),
        "lit_resnet, whole batch": (BatchStream(images, labels, CropFlip(pixel_mean(images)), BATCH, seed=0), 1000),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(args.rounds + 1):
        for name, (batches, n) in contenders.items():
            measured = rate(batches, n)
            if i > 0:  # the first round warms up
                rates[name].append(measured)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name}: {medians[name]:,.0f} images/s (from {min(values):,.0f} to {max(values):,.0f})")
    slow, fast = medians.values()
    print(f"ratio: {fast / slow:.1f}")


if __name__ == "__main__":
    main()
