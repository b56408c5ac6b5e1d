"""Photographs of any size (Sec. 3.4): their settings, and how one is read, resized and cropped, all in uint8."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image  # imported here, so that forked workers have it

from lit_resnet.data.archives import content, member
from lit_resnet.data_sets import MOST_PIXELS
from lit_resnet.errors import InputError, check_choices, check_range, printable

MOST_WORKERS = 1024  # beyond which a number is a slip


@dataclass(frozen=True)
class Photographs:
    """How photographs become images to train and to test on; the defaults are the paper's.

    Args:
        short_side: Smallest and largest size of a training image's shorter side after resizing; drawn uniformly.
        crop: Side of the random crop of a training image, and of the centre crop of a test image.
        test_short_side: Size of a test image's shorter side after resizing.
        colour: Standard deviation of the normal numbers that shift training images along the principal components of
            ImageNet's colours, as in AlexNet; 0 for none.
        mean: The mean that is subtracted. `channel` is one number a channel, which fits images of every size, as dense
            testing needs; `pixel` is the mean image of the centre crops, as the paper says. The two hardly differ: the
            mean image of many crops is nearly flat.
        damaged: What to do with an image that cannot be read: `fail`, or `skip` it. In training the next one in the
            order then takes its place, and in evaluation it does not count.
        workers: Processes that read the images, for each device; none for as many as the machine has cores to spare.
        decode: Where JPEGs are decoded and resized: by the `workers`, or on the `device`, which is faster with an
            NVIDIA GPU and few cores. That is another decoder: its pixels may differ by a level or two.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    short_side: tuple[int, int] = (256, 480)
    crop: int = 224
    test_short_side: int = 256
    colour: float = 0.1
    mean: Literal["channel", "pixel"] = "channel"
    damaged: Literal["fail", "skip"] = "fail"
    workers: int | None = None
    decode: Literal["workers", "device"] = "workers"

    def __post_init__(self) -> None:
        check_choices(self)
        for field, value, least, most in (
            ("crop", self.crop, 1, MOST_PIXELS),
            ("short_side", self.short_side[1], 1, MOST_PIXELS),
            ("test_short_side", self.test_short_side, 1, MOST_PIXELS),
            ("colour", self.colour, 0, 255),
            ("workers", self.workers, 0, MOST_WORKERS),
        ):
            if value is not None:
                check_range(field, value, least, most)
        least, most = self.short_side
        if least > most:
            raise ValueError(f"short_side is [{least}, {most}]: write the smaller one first")
        if least < self.crop:
            raise ValueError(f"short_side begins at {least}: write the crop ({self.crop}) or more, or a smaller crop")
        if self.test_short_side < self.crop:
            raise ValueError(
                f"test_short_side is {self.test_short_side}: write the crop ({self.crop}) or more, or a smaller crop"
            )


class Damaged(InputError):
    """A file that cannot be used as an image; `path` is where it is."""

    def __init__(self, path: Path | str, what: str = "not an image, or a damaged one: replace it") -> None:
        super().__init__(path, what)  # the arguments from which pickle rebuilds it, on its way from a worker
        self.path = str(path)

    def __str__(self) -> str:
        return printable("{}: {}".format(*self.args))


def read_photograph(file: Path | str) -> Tensor:
    """Read an image as RGB, uint8 [3, H, W]; its memory has channels last, as the decoder writes it.

    Greyscale, palette and CMYK images are converted, alpha is dropped, EXIF's rotation is ignored. The file may be in
    an archive (see `archives`).

    Raises:
        Damaged: The file cannot be read, is no image, is damaged, or has 16 bits a channel or several frames.
    """
    try:
        encoded = torch.frombuffer(bytearray(content(name)), dtype=torch.uint8) if member(name := str(file)) else name
        image = decode_image(encoded, ImageReadMode.RGB)
    except (RuntimeError, OSError, ValueError):
        raise Damaged(file) from None
    if image.dtype != torch.uint8 or image.ndim != 3:
        raise Damaged(file, "has 16 bits a channel or several frames: convert it to a still image of 8 bits")
    return image


def resized(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width of an image after its shorter side is resized to `short_side`; as torchvision's Resize."""
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def resize_short_side(image: Tensor, size: int) -> Tensor:
    """Resize an image so that its shorter side is `size`: uint8 [3, H, W] -> uint8 [3, h, w]; bilinear, antialiased."""
    _, height, width = image.shape
    return resize(image, resized(height, width, size))


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize an image to this height and width: uint8 [3, H, W] -> uint8 [3, h, w]; bilinear, antialiased."""
    return image if size == tuple(image.shape[1:]) else _interpolate(image, size=size)


def centre(image: Tensor, crop: int) -> Tensor:
    """The middle [3, crop, crop] of an image [3, H, W], whose sides are `crop` or more."""
    top, left = (image.shape[1] - crop) // 2, (image.shape[2] - crop) // 2
    return image[:, top : top + crop, left : left + crop]


class Span(NamedTuple):
    """One side of a crop, its rows or its columns: the pixels of the photograph that it is made of, and how.

    Args:
        begin: The first of these pixels.
        end: The one after the last.
        scale: What their number is multiplied by.
        skipped: The resized pixels before the crop; they only stand for what is at its border.
    """

    begin: int
    end: int
    scale: float
    skipped: int

    @classmethod
    def of(cls, old: int, new: int, start: int, crop: int) -> "Span":
        """`crop` pixels from `start` on, of `old` pixels that are resized to `new`.

        Resizing all of them and resizing some gives the same pixels only if both begin at a whole pixel of the
        photograph. So the crop begins there, by less than a pixel of the photograph before `start`.
        """
        if old == new:
            return cls(start, start + crop, 1, 0)
        step, scale = old / new, (new + 1e-6) / old  # slightly more, as interpolate rounds the new size down
        border = math.ceil(max(step, 1) / step)  # resized pixels that are made of pixels before their own, too
        begin, skipped = (0, start) if start <= border else ((start - border) * old // new, border)
        end = min(old, begin + math.ceil(step * (skipped + crop) + max(step, 1)) + 1)
        if int((end - begin) * scale) == end - begin:  # interpolate would do nothing: all pixels have another size
            return cls(0, old, scale, start)
        return cls(begin, end, scale, skipped)

    @property
    def pixels(self) -> slice:
        """Those of the photograph."""
        return slice(self.begin, self.end)


def resized_part(part: Tensor, rows: Span, columns: Span, crop: int) -> Tensor:
    """The crop that is made of the pixels `rows` and `columns` of a photograph: uint8 [3, h, w] -> [3, crop, crop]."""
    resized = _interpolate(part, scale_factor=[rows.scale, columns.scale])
    return resized[:, rows.skipped : rows.skipped + crop, columns.skipped : columns.skipped + crop]


def _interpolate(image: Tensor, size: tuple[int, int] | None = None, scale_factor: list[float] | None = None) -> Tensor:
    """Interpolate to a size or by factors. A GPU does it in floats, which are rounded."""
    part = image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)  # image[None] would hide from torch that channels are last
    part = part if image.device.type == "cpu" else part.float()
    part = F.interpolate(part, mode="bilinear", antialias=True, size=size, scale_factor=scale_factor)[0]
    return part if image.device.type == "cpu" else part.round_().clamp_(0, 255).byte()
