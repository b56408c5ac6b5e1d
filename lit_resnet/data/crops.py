"""From the files of photographs to the crops of a batch: which file is in which place, decoding, resizing, cropping.

A worker process does all of it, or it only loads the files and the device decodes and crops them.
"""

import io
import math
import mmap
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from lit_resnet.data.archives import content
from lit_resnet.data.partial import Decoded, Encoded, open_photograph
from lit_resnet.data.photographs import (
    Damaged,
    Photographs,
    Span,
    centre,
    read_photograph,
    resize_short_side,
    resized,
    resized_part,
)

# Images a worker handles at a time: enough that handing them over costs little, few enough that all workers share
# a batch.
PORTION = 32
AT_ONCE = 8  # that are decoded before the first is resized: each in its turn has the processor's caches for itself


class Draw(NamedTuple):
    """What was drawn at random for one training image.

    Args:
        short_side: Pixels that the shorter side of the photograph is resized to.
        down: Where the crop begins, from 0 (top) up to 1 (as far down as it can).
        right: Where the crop begins, from 0 (left) up to 1 (as far right as it can).
        flip: Whether it is mirrored.
    """

    short_side: int
    down: float
    right: float
    flip: bool

    def window(self, height: int, width: int, crop: int) -> tuple[tuple[int, int], int, int]:
        """For an image of this size: (height, width) after resizing, and the first row and column of the crop in it."""
        height, width = resized(height, width, self.short_side)
        return (height, width), int(self.down * (height - crop + 1)), int(self.right * (width - crop + 1))

    def decode(self, photograph: Decoded | Encoded, crop: int) -> Callable[[], Tensor]:
        """Decode what it takes of a photograph; the result makes the crop of that (Sec. 3.4): uint8 [3, crop, crop]."""
        size, top, left = self.window(*photograph.size, crop)
        rows, columns = map(Span.of, photograph.size, size, (top, left), (crop, crop))
        part = photograph.part(rows.pixels, columns.pixels)
        view = partial(resized_part, part, rows, columns, crop)
        return (lambda: view().flip(-1)) if self.flip else view


class Places(NamedTuple):
    """Places in a batch, and the files that fill them.

    There are more files than places: a damaged file leaves its place to the next sound one. A draw of None stands for
    the centre crop of a test image, which no other image replaces.
    """

    files: list[str]
    labels: np.ndarray  # int64 [files]
    draws: list[Draw | None]
    colours: np.ndarray  # float32 [places, 3], as of draw_colours

    def portions(self) -> Iterator["Places"]:
        """The places in portions, as workers get them, each with the spare files that follow it."""
        after = len(self.files) - len(self.draws)
        for start in range(0, len(self.draws), PORTION):
            places = slice(start, start + PORTION)
            files = slice(start, min(start + PORTION, len(self.draws)) + after)
            yield Places(self.files[files], self.labels[files], self.draws[places], self.colours[places])


class Filled(NamedTuple):
    """What stands in the places that were filled, beside the images; and the files that were damaged."""

    labels: np.ndarray  # int64 [n]
    colours: np.ndarray  # float32 [n, 3]
    damaged: list[Damaged]


def rooms_for(portions: int, photographs: Photographs, device: str | torch.device = "cpu") -> Tensor:
    """Memory for the crops of so many portions: uint8 [portions, PORTION, crop, crop, 3]."""
    return torch.empty(_shape(portions, photographs), dtype=torch.uint8, device=device)


def shared_rooms_for(portions: int, photographs: Photographs) -> Tensor:
    """The same, in memory that is shared with worker processes that start from now on."""
    if sys.platform == "linux":  # they are forked, and /dev/shm is small in many containers
        shape = _shape(portions, photographs)
        return torch.frombuffer(mmap.mmap(-1, math.prod(shape)), dtype=torch.uint8).view(shape)
    return rooms_for(portions, photographs).share_memory_()


def _shape(portions: int, photographs: Photographs) -> tuple[int, ...]:
    return portions, PORTION, photographs.crop, photographs.crop, 3


def read_crops(
    places: Places, room: Tensor, photographs: Photographs, decoded: Mapping[str, Tensor] = MappingProxyType({})
) -> Filled:
    """Fill places: read the files, resize and crop them.

    Args:
        places: At most PORTION.
        room: Where the crops are written, one after the other: uint8 [PORTION, crop, crop, 3], on any device.
        photographs: The settings.
        decoded: Images on that device, by file; the others are decoded here.
    """
    rows = room.flatten(2)  # as which torch copies images several times faster
    filled, taken, damaged, views = [], [], [], []

    def write() -> None:
        for number, view in enumerate(views, len(filled) - len(views)):
            rows[number].copy_(view().permute(1, 2, 0).flatten(1))
        views.clear()

    for place, draw in enumerate(places.draws):
        for number in range(place, place + 1 if draw is None else len(places.files)):
            try:
                views.append(_view(places.files[number], draw, photographs, decoded))
            except Damaged as error:
                damaged.append(error)
                continue
            filled.append(place)
            taken.append(number)
            break
        if len(views) == AT_ONCE:
            write()
    write()
    return Filled(places.labels[taken], places.colours[filled], damaged)


def fill_room(portion: tuple[int, Places], rooms: Tensor, photographs: Photographs) -> tuple[int, Filled]:
    """Fill the places of a portion, and the room with this number, which a worker shares with who wants the crops."""
    number, places = portion
    return number, read_crops(places, rooms[number], photographs)


def _view(
    file: str, draw: Draw | None, photographs: Photographs, decoded: Mapping[str, Tensor]
) -> Callable[[], Tensor]:
    """Decode what was drawn of a file, or all of it; the result makes the crop of that: uint8 [3, crop, crop]."""
    if draw is None:
        image = decoded[file] if file in decoded else read_photograph(file)
        return lambda: centre(resize_short_side(image, photographs.test_short_side), photographs.crop)
    return draw.decode(Decoded(decoded[file]) if file in decoded else open_photograph(file), photographs.crop)


class Loaded(NamedTuple):
    """Places, and the contents of their files in one array, one after the other: a tensor would take room in /dev/shm.

    A file that a GPU cannot decode has length 0 there.
    """

    places: Places
    contents: np.ndarray  # uint8
    lengths: list[int]


def load_files(places: Places) -> Loaded:
    """Read the files of the places without decoding them: the device does that."""
    contents = [_plain_jpeg(file) for file in places.files[: len(places.draws)]]
    joined = np.frombuffer(bytearray().join(contents), np.uint8)
    return Loaded(places, joined, [len(content) for content in contents])


def _plain_jpeg(file: str) -> bytes:
    """The content of a complete RGB or greyscale JPEG; empty for other files, which a GPU may fail to decode."""
    try:
        found = content(file)
        with Image.open(io.BytesIO(found)) as image:
            plain = image.format == "JPEG" and image.mode in ("RGB", "L") and found.endswith(b"\xff\xd9")
    except (OSError, Image.DecompressionBombError):
        plain = False
    return found if plain else b""


def decode(loaded: Loaded, device: torch.device) -> dict[str, Tensor]:
    """The images that the device could decode, uint8 [3, H, W], by file."""
    files, lengths = loaded.places.files[: len(loaded.lengths)], loaded.lengths
    contents = torch.from_numpy(loaded.contents)
    parts = {file: part for file, part in zip(files, contents.split(lengths), strict=True) if len(part)}
    try:
        images = decode_jpeg(list(parts.values()), ImageReadMode.RGB, device) if parts else []
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # one is damaged, and the message does not say which
        return {}
    return dict(zip(parts, images, strict=True))
