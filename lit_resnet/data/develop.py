"""From files to the images of a batch: which file is in which place, decoding, and the view that is taken of it.

By a worker process, or decoded on the device from what a worker has loaded.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from lit_resnet.data.photographs import (
    Damaged,
    Photographs,
    centre,
    read_photograph,
    resize_short_side,
    resized,
    resized_crop,
)

PORTION = 32  # images: enough that handing them over costs little, few enough that all workers share a batch


class Draw(NamedTuple):
    """What was drawn for a training view: the shorter side, where the crop lies (from 0 up to 1), and the mirroring."""

    short_side: int
    down: float
    right: float
    flip: bool

    def window(self, height: int, width: int, crop: int) -> tuple[tuple[int, int], int, int]:
        """Of an image of this size: height and width after resizing, and there the first row and column of the crop."""
        height, width = resized(height, width, self.short_side)
        return (height, width), int(self.down * (height - crop + 1)), int(self.right * (width - crop + 1))

    def view(self, image: Tensor, crop: int) -> Tensor:
        """uint8 [3, H, W] -> [3, crop, crop] (Sec. 3.4)."""
        view = resized_crop(image, *self.window(*image.shape[1:], crop), crop)
        return view.flip(-1) if self.flip else view


class Places(NamedTuple):
    """Places in a batch and what is to be there.

    Files go on after the last place, as one that is damaged leaves its place to the next sound one. A draw of None is
    the centre crop of a test image, which has no substitute.
    """

    files: list[str]
    labels: np.ndarray  # int64 [files]
    draws: list[Draw | None]
    colours: np.ndarray  # float32 [places, 3], as of draw_colours

    def portions(self) -> Iterator["Places"]:
        """What a worker gets at a time."""
        after = len(self.files) - len(self.draws)
        for start in range(0, len(self.draws), PORTION):
            places = slice(start, start + PORTION)
            files = slice(start, min(start + PORTION, len(self.draws)) + after)
            yield Places(self.files[files], self.labels[files], self.draws[places], self.colours[places])


class Images(NamedTuple):
    """What is in the places: uint8 [n, 3, crop, crop], channels last in memory; and which files were damaged."""

    images: Tensor
    labels: np.ndarray  # int64 [n]
    colours: np.ndarray  # float32 [n, 3]
    damaged: list[Damaged]


def develop(
    places: Places,
    photographs: Photographs,
    decoded: Mapping[str, Tensor] = MappingProxyType({}),
    device: str | torch.device = "cpu",
) -> Images:
    """Read the files of the places, but for those already decoded (by file, on this device), and take their views."""
    crop = photographs.crop
    views, filled, taken, damaged = [], [], [], []
    for place, draw in enumerate(places.draws):
        for number in range(place, place + 1 if draw is None else len(places.files)):
            file = places.files[number]
            try:
                image = decoded[file] if file in decoded else read_photograph(file).to(device)
            except Damaged as error:
                damaged.append(error)
                continue
            if draw is None:
                view = centre(resize_short_side(image, photographs.test_short_side), crop)
            else:
                view = draw.view(image, crop)
            views.append(view.permute(1, 2, 0))
            filled.append(place)
            taken.append(number)
            break
    images = torch.stack(views) if views else torch.empty(0, crop, crop, 3, dtype=torch.uint8, device=device)
    return Images(images.permute(0, 3, 1, 2), places.labels[taken], places.colours[filled], damaged)


class Loaded(NamedTuple):
    """Places, and the contents of their files one after the other: of length 0 what is not for a GPU's decoder."""

    places: Places
    contents: Tensor
    lengths: list[int]


def load(places: Places) -> Loaded:
    """Read the files of the places and leave decoding to the device."""
    contents = [_plain_jpeg(file) for file in places.files[: len(places.draws)]]
    joined = np.frombuffer(bytearray().join(contents), np.uint8)
    return Loaded(places, torch.from_numpy(joined), [len(content) for content in contents])


def _plain_jpeg(file: str) -> bytes:
    """The content of a JPEG of RGB or greyscale that has an end; nothing for others, with which GPUs have trouble."""
    try:
        content = Path(file).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            plain = image.format == "JPEG" and image.mode in ("RGB", "L") and content.endswith(b"\xff\xd9")
    except (OSError, Image.DecompressionBombError):
        plain = False
    return content if plain else b""


def decode(loaded: Loaded, device: torch.device) -> dict[str, Tensor]:
    """By file, its image on the device, uint8 [3, H, W]; without those that it cannot decode."""
    files, lengths = loaded.places.files[: len(loaded.lengths)], loaded.lengths
    parts = {file: part for file, part in zip(files, loaded.contents.split(lengths), strict=True) if len(part)}
    try:
        images = decode_jpeg(list(parts.values()), ImageReadMode.RGB, device) if parts else []
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # one is damaged, and it is not said which
        return {}
    return dict(zip(parts, images, strict=True))
