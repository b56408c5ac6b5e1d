"""Any picture as a trained net takes it: what a viewer shows of the file, in RGB or grey, with 8 bits a channel."""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from lit_resnet.data.photographs import Damaged
from lit_resnet.errors import InputError

MOST_PIXELS = 1 << 27  # of a picture, or of a resized one: 400 MB in RGB
JPEGS = ("JPEG", "MPO")  # the latter is the JPEG of some cameras, with further pictures after the first
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
MODES = {1: ("L", ImageReadMode.GRAY), 3: ("RGB", ImageReadMode.RGB)}  # by channels: Pillow's name, and torchvision's


def read_picture(path: Path | str, channels: int) -> Tensor:
    """Read a picture of any format that Pillow knows: uint8 [channels, H, W], the first frame of several.

    It is turned as its EXIF data say, and put on white where it is transparent. JPEGs are decoded by the decoder that
    reads photographs for training and evaluation: of these a net sees the same pixels here as there.

    Args:
        path: The file.
        channels: 1 for grey, 3 for RGB.

    Raises:
        Damaged: There is no such file, or it is no picture, a damaged or a huge one, or of 32 bits a channel.
        InputError: There are no pictures of so many channels.
    """
    if channels not in MODES:
        raise InputError(f"the net takes images of {channels} channels, as no picture has: give it tensors, in Python")
    name, mode = MODES[channels]
    if not os.path.isfile(path):
        there = os.path.isdir(path)
        raise Damaged(path, "is a folder: write the files in it" if there else "no such file")
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow's, about pictures that are large or odd
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            if image.format in JPEGS:
                return decode_image(str(path), mode, apply_exif_orientation=True)
            pixels = np.array(_of_8_bits(path, ImageOps.exif_transpose(image)).convert(name))
    except Image.DecompressionBombError:
        raise Damaged(path, f"has more than {MOST_PIXELS:,} pixels: make it smaller") from None
    except (Damaged, MemoryError):
        raise
    except Exception:  # the readers of Pillow and torchvision have as many as there are ways to damage a file
        raise Damaged(path) from None
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], channels)).permute(2, 0, 1)


def _of_8_bits(path: Path | str, image: Image.Image) -> Image.Image:
    """The picture without transparency, and with the upper 8 bits of 16."""
    if image.mode in SIXTEEN_BITS or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise Damaged(path, "has 32 bits a channel: convert it to a picture of 8 bits")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured)
    return image
