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
        sums = self.sums(total)
        self.__init__(self.loss.device)
        return sums["loss"] / sums["images"], 100 * sums["wrong"] / sums["images"]

    def sums(self, total: Total) -> dict[str, float]:
        """What a checkpoint keeps of the window: its counts over all devices."""
        counts = {name: torch.as_tensor(getattr(self, name)) for name in ("images", "wrong", "loss")}
        return {name: total(count.to(self.loss.device, copy=True)).item() for name, count in counts.items()}

    def restore(self, sums: dict[str, float]) -> None:
        """Go on from what a checkpoint kept."""
        self.images = int(sums["images"])
        self.wrong.fill_(sums["wrong"])
        self.loss.fill_(sums["loss"])
