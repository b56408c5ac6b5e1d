"""What is summed up over a window of iterations, on the device."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Total = Callable[[Tensor], Tensor]  # sums a tensor over the devices that train together


@dataclass(frozen=True)
class Counts:
    """What one batch adds to a window.

    Args:
        images: How many images it has.
        sums: By metric, the sum over those images of what the metric is the mean of; a tensor without dimensions.
    """

    images: int
    sums: dict[str, Tensor]


class Window:
    """Images, and sums over them, since the window began. Adding waits for nothing.

    Not buffers of the net: DDP would overwrite every device's counts with those of the first.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.images = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, counts: Counts) -> None:
        """Count a batch."""
        self.images += counts.images
        for name, value in counts.sums.items():
            value = value.detach()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def close(self, total: Total) -> dict[str, float]:
        """By metric the mean over the images of the window that ends here; another one begins. Waits for the device."""
        names, counts = list(self.sums), self.counts()
        images, *sums = total(torch.stack([count.double() for count in counts.values()])).tolist()
        self.__init__(self.device)
        return {name: value / images for name, value in zip(names, sums, strict=True)}

    def counts(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it: the number of `images`, and each sum as it is; of this device alone."""
        return {"images": torch.tensor(self.images, device=self.device), **self.sums}

    def restore(self, counts: dict[str, Tensor]) -> None:
        """Go on from what a checkpoint kept."""
        self.images = int(counts["images"])
        self.sums = {name: value.to(self.device) for name, value in counts.items() if name != "images"}
