"""Augmentation of whole batches (Sec. 4.2): subtract the per-pixel mean, pad with zeros, crop and flip at random.

Pixels are levels, 0..255, until the last step, which divides by 255; so is the mean.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_mean(images: Tensor) -> Tensor:
    """The mean of each pixel over uint8 images [N, C, H, W]: float32 [C, H, W], in levels."""
    # Exact, as in int64; in parts, as int64 takes eight times the memory.
    total = sum(part.sum(0, dtype=torch.int64) for part in images.split(1024))
    return (total.double() / len(images)).float()


def subtract_mean(images: Tensor, mean: Tensor) -> Tensor:
    """uint8 images and a mean in levels, of shapes that broadcast -> float32, scaled so that 255 levels are 1."""
    return images.float().sub_(mean).div_(255)


class CropFlip:
    """Random crops of the padded images, and random mirror images, of a whole batch.

    An image has (2 pad + 1)² crops, and its mirror image as many again; a view is the number of one of them. Crops are
    windows into the memory of the padded batch, so one index_select copies out those of all images. The mean is padded
    and cropped alike, and what was padded is 0 - 0: zero after the subtraction, as in the paper.

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
        """Views of n images, all equally likely."""
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
        # From pageable memory, which the driver copies before it returns: nothing waits for the device.
        of_images, of_means = torch.from_numpy(starts).to(images.device, non_blocking=True)
        return subtract_mean(self._windows(images).index_select(0, of_images), self._means.index_select(0, of_means))

    def _windows(self, images: Tensor) -> Tensor:
        """The windows [C, H, W] that start at each element of the padded images and, after those, of their mirrors."""
        channels, height, width = self.shape
        both = torch.cat([images, images.flip(-1)]) if self.flip else images
        padded = F.pad(both, (self.pad,) * 4).contiguous()
        strides = padded.stride()[1:]
        last = sum((size - 1) * stride for size, stride in zip(self.shape, strides, strict=True))
        return padded.as_strided((padded.numel() - last, channels, height, width), (1, *strides))


# Of the covariance of ImageNet's RGB values from 0 to 1: standard deviations along its principal components, which are
# the columns of the matrix (AlexNet, Sec. 4.1; the figures that fb.resnet.torch has of them).
COLOUR_DEVIATIONS = np.array([0.2175, 0.0188, 0.0045])
COLOUR_COMPONENTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def draw_colours(n: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """What is added to the channels of n images, float32 [n, 3], where 255 levels are 1 (Sec. 3.4).

    The same for all pixels of an image: along each principal component a normal number, of standard deviation
    `deviation`, times the deviation of ImageNet's colours along it.
    """
    along = rng.normal(scale=deviation, size=(n, 3)) * COLOUR_DEVIATIONS
    return (along @ COLOUR_COMPONENTS.T).astype(np.float32)
