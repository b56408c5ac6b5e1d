"""Top-1 and top-5 error, by torchmetrics, with a rule for ties."""

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from lit_resnet.errors import InputError


class TopError(MulticlassAccuracy):
    """Percent of the images whose class is not among the k that score highest.

    A tie counts against the net: an image is right only if fewer than k other classes score as high as its own class or
    higher. So equal scores for all classes are wrong for every image, not right for the images of the first class.
    An image with a score that is not finite is wrong.

    Args:
        classes: Number of classes.
        k: 1 or 5 in the paper. With just k classes no image can be wrong.

    Raises:
        InputError: There are fewer than k classes.
    """

    def __init__(self, classes: int, k: int) -> None:
        if classes < k:
            raise InputError(f"top-{k} error: there are {classes} classes, and it needs {k} or more; take top-1")
        # One process judges, even where several have trained: it must not wait for their counts.
        super().__init__(classes, top_k=k, average="micro", sync_on_compute=False)

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Count a batch: scores [N, classes], higher for likelier classes, and labels [N]."""
        finite = scores.isfinite().all(1, keepdim=True)
        scores = torch.where(finite, scores, 0)
        own = scores.gather(1, labels[:, None])
        lowered = own.nextafter(torch.full_like(own, -torch.inf))  # below equal scores, above lower ones
        super().update(scores.scatter(1, labels[:, None], lowered), labels)

    def compute(self) -> Tensor:
        """The error of all batches counted so far, in percent."""
        return 100 * (1 - super().compute())
