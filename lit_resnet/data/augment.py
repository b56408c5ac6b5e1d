"""Augmentation of whole batches (Sec. 4.2): subtract the per-pixel mean, pad with zeros, crop and flip at random.

Pixels and means are levels, 0 to 255, until the last step, which divides by 255.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lit_resnet.data.transfer import sent


def pixel_mean(images: Tensor) -> Tensor:
    """The mean of each pixel over uint8 images [N, C, H, W]: float32 [C, H, W], in levels."""
    # In int64, so the sum is exact; in parts, as int64 takes eight times the memory.
    zero = torch.zeros(images.shape[1:], dtype=torch.int64, device=images.device)
    total = sum((part.sum(0, dtype=torch.int64) for part in images.split(1024)), zero)
    return (total.double() / len(images)).float()


def subtract_mean(images: Tensor, mean: Tensor, into: Tensor | None = None) -> Tensor:
    """Subtract a mean in levels from images (the shapes broadcast): float32, scaled so that 255 levels are 1.

    Args:
        images: In levels, uint8 or float.
        mean: In levels.
        into: Where the result is written; None for new memory.
    """
    # Floats are the caller's own memory; others are converted into new memory.
    centred = images - mean if images.dtype == torch.float32 else images.float().sub_(mean)
    return centred.div_(255) if into is None else torch.div(centred, 255, out=into)


class CropFlip:
    """Random crops of the padded images, and random mirror images, of a whole batch.

    An image has (2 pad + 1)² crops, and its mirror image as many again; a view is the number of one of them. Crops are
    windows into the memory of the padded batch, so one index_select copies the crops of all images. The mean is padded
    and cropped in the same way: padded pixels are 0 - 0, zero after the subtraction, as in the paper.

    Args:
        mean: Per-pixel mean [C, H, W] in levels, on the device of the images.
        pad: Pixels of zeros added on each side.
        flip: Mirror each image with probability 1/2.
    """

    def __init__(self, mean: Tensor, pad: int = 4, flip: bool = True) -> None:
        self.shape, self.pad, self.flip = mean.shape, pad, flip
        self.views = (2 * pad + 1) ** 2 * (1 + flip)
        self._means = self._windows(mean[None])

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw a view for each of n images, all equally likely."""
        return rng.integers(self.views, size=n)

    def __call__(self, images: Tensor, views: np.ndarray) -> Tensor:
        """uint8 images [N, C, H, W] and their views [N] -> float32 [N, C, H, W], mean subtracted, 255 levels = 1."""
        channels, height, width = self.shape
        side = 2 * self.pad + 1
        mirrored, offset = np.divmod(views, side * side)
        down, right = np.divmod(offset, side)
        row = width + 2 * self.pad
        image = channels * (height + 2 * self.pad) * row
        corner = down * row + right
        n = len(images)
        starts = np.stack([(mirrored * n + np.arange(n)) * image + corner, mirrored * image + corner])
        of_images, of_means = sent(starts, images.device)
        return subtract_mean(self._windows(images).index_select(0, of_images), self._means.index_select(0, of_means))

    def _windows(self, images: Tensor) -> Tensor:
        """All windows [C, H, W] of the padded images, one starting at each element; then those of the mirror images."""
        channels, height, width = self.shape
        both = torch.cat([images, images.flip(-1)]) if self.flip else images
        padded = F.pad(both, (self.pad,) * 4).contiguous()
        strides = padded.stride()[1:]
        last = sum((size - 1) * stride for size, stride in zip(self.shape, strides, strict=True))
        return padded.as_strided((padded.numel() - last, channels, height, width), (1, *strides))


# Eigenvalues and eigenvectors (columns of the matrix) of the covariance of ImageNet's RGB values from 0 to 1. The
# method is AlexNet's (Sec. 4.1 there; the paper's ref. [21]), the numbers are fb.resnet.torch's. An eigenvalue is the
# variance along its component: AlexNet multiplies by it, not by its root.
COLOUR_VARIANCES = np.array([0.2175, 0.0188, 0.0045])
COLOUR_COMPONENTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def draw_colours(n: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the shift of each channel of n images: float32 [n, 3], where 255 levels are 1 (Sec. 3.4).

    All pixels of an image are shifted alike. The shift along each principal component is a normal number of standard
    deviation `deviation`, times the variance of ImageNet's colours along that component.
    """
    along = rng.normal(scale=deviation, size=(n, 3)) * COLOUR_VARIANCES
    return (along @ COLOUR_COMPONENTS.T).astype(np.float32)
