import numpy as np
import pytest
import torch
from torch import Tensor

from lit_resnet.data.augment import CropFlip, pixel_mean, subtract_mean


def reference(image: Tensor, mean: Tensor, pad: int, view: int) -> Tensor:
    """One image the long way round, in the paper's order: subtract the mean, flip, pad with zeros, crop."""
    channels, height, width = image.shape
    side = 2 * pad + 1
    mirrored, down, right = view // side**2, view % side**2 // side, view % side
    image = (image.float() - mean) / 255
    if mirrored:
        image = image.flip(-1)
    canvas = torch.zeros(channels, height + 2 * pad, width + 2 * pad)
    canvas[:, pad : pad + height, pad : pad + width] = image
    return canvas[:, down : down + height, right : right + width]


@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_every_view_equals_the_per_sample_reference(images: Tensor, pad: int, flip: bool) -> None:
    mean = pixel_mean(images)
    augment = CropFlip(mean, pad, flip)
    assert augment.views == (2 * pad + 1) ** 2 * (2 if flip else 1)
    views = np.arange(augment.views)
    batch = images[torch.from_numpy(views) % len(images)]
    expected = torch.stack([reference(x, mean, pad, int(view)) for x, view in zip(batch, views, strict=True)])
    assert torch.equal(augment(batch, views), expected)


def test_padding_is_zero_after_the_subtraction(images: Tensor) -> None:
    corner = CropFlip(pixel_mean(images), pad=4, flip=False)(images, np.zeros(len(images), int))
    assert (corner[:, :, :4] == 0).all()
    assert (corner[:, :, :, :4] == 0).all()
    assert (corner[:, :, 4:, 4:] != 0).any()


def test_all_81_offsets_and_half_the_images_flipped(images: Tensor) -> None:
    views = CropFlip(pixel_mean(images)).draw(81_000, np.random.default_rng(0))
    counts = np.bincount(views % 81)
    assert len(counts) == 81
    assert counts.min() > 850  # 1,000 expected, standard deviation 31
    assert counts.max() < 1150
    assert abs((views >= 81).mean() - 0.5) < 0.01  # standard deviation 0.002
    assert abs((views >= 81)[views % 81 < 40].mean() - 0.5) < 0.02  # whatever the offset
    assert CropFlip(pixel_mean(images), flip=False).draw(1000, np.random.default_rng(0)).max() < 81


def test_mean_is_that_of_each_pixel() -> None:
    images = torch.zeros(3000, 2, 2, 2, dtype=torch.uint8)  # more than one part
    images[:, 0, 0, 0] = 255
    images[:1500, 1, 0, 1] = 1
    mean = pixel_mean(images)
    assert mean.tolist() == [[[255, 0], [0, 0]], [[0, 0.5], [0, 0]]]
    assert mean.dtype == torch.float32


def test_evaluation_subtracts_the_mean_and_scales(images: Tensor) -> None:
    white = torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)
    assert subtract_mean(white, torch.zeros(1, 1, 1)).item() == 1
    centre = CropFlip(pixel_mean(images), pad=1, flip=False)(images, np.full(len(images), 4))
    assert torch.equal(subtract_mean(images, pixel_mean(images)), centre)
    floats = images.float()
    assert torch.equal(subtract_mean(floats, pixel_mean(images)), centre)
    assert torch.equal(floats, images.float()), "the caller has the same images as before"
