"""Training loss and error over a window of iterations, counted on the device."""

from collections.abc import Callable

import torch
from torch import Tensor

Total = Callable[[Tensor], Tensor]  # sums a tensor over the devices that train together


class Window:
    """Images, wrong ones among them, and the sum of their losses, since the window began. Adding waits for nothing.

    Not buffers of the net: DDP would overwrite every device's counts with those of the first.
    """

    def __init__(self, device: torch.device) -> None:
        self.images = 0
        self.wrong = torch.zeros((), dtype=torch.int64, device=device)
        self.loss = torch.zeros((), device=device)

    def add(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Count a batch: logits [N, classes], labels [N] and the loss of each image [N]."""
        self.images += len(labels)
        self.wrong += (logits.detach().argmax(1) != labels).sum()
        self.loss += losses.detach().sum()

    def close(self, total: Total) -> tuple[float, float]:
        """Mean loss, and error in percent, of the window that ends here; another one begins. Waits for the device."""
        images, wrong, loss = total(self.counts()).tolist()
        self.__init__(self.loss.device)
        return loss / images, 100 * wrong / images

    def counts(self) -> Tensor:
        """What a checkpoint keeps of it, [3] in 64 bits: images, wrong ones, sum of losses; of this device alone."""
        return torch.stack([torch.full_like(self.wrong, self.images), self.wrong, self.loss.double()])

    def restore(self, counts: Tensor) -> None:
        """Go on from what a checkpoint kept."""
        self.images = int(counts[0])
        self.wrong.copy_(counts[1])
        self.loss.copy_(counts[2])
