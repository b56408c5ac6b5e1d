"""Photographs of which only a part is decoded: a training crop shows a third of a photograph's pixels (Sec. 3.4).

nvImageCodec does that on the CPU: all of it that is loaded here is libjpeg-turbo. Where it is not installed, as on
macOS, photographs are decoded as a whole, by torchvision. The pixels are the same bit for bit, since that is
libjpeg-turbo, too.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_resnet.data.archives import content
from lit_resnet.data.photographs import Damaged, read_photograph

START, END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG


class Decoded(NamedTuple):
    """A photograph that is decoded as a whole: uint8 [3, H, W]."""

    image: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[1], self.image.shape[2]

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Some of its pixels: uint8 [3, rows, columns]."""
        return self.image[:, rows, columns]


class Encoded(NamedTuple):
    """A JPEG of three colours that is not decoded yet."""

    file: str
    stream: Any  # a CodeStream of nvImageCodec

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.stream.height, self.stream.width

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Decode some of its pixels: uint8 [3, rows, columns], channels last in memory.

        Raises:
            Damaged: It cannot be decoded.
        """
        codec = _codec()
        region = codec.Region(rows.start, columns.start, rows.stop, columns.stop)
        image = _decoder(os.getpid()).decode(self.stream.get_sub_code_stream(0, region=region), params=_params())
        if image is None:  # torchvision may read it all the same, and has the last word
            return read_photograph(self.file)[:, rows, columns]
        return torch.from_numpy(np.asarray(image.cpu())).permute(2, 0, 1)


def open_photograph(file: str) -> Decoded | Encoded:
    """A photograph in RGB. It is decoded at once unless it is a whole JPEG of three colours.

    A JPEG that was cut off must be told whatever its crop: one that does not end as JPEGs end is read as a whole.

    Raises:
        Damaged: It cannot be read; see `read_photograph`.
    """
    if codec := _codec():
        try:
            encoded = content(file)
        except (OSError, ValueError):
            raise Damaged(file) from None
        if encoded.startswith(START) and encoded.endswith(END):
            try:
                stream = codec.CodeStream(encoded)
                if stream.num_channels == 3:
                    return Encoded(file, stream)
            except RuntimeError:
                pass  # torchvision has the last word
    return Decoded(read_photograph(file))


@cache
def _codec() -> Any:
    """nvImageCodec with libjpeg-turbo alone, or None. Its parts for GPUs would take memory there for every worker."""
    try:
        found = find_spec("nvidia.nvimgcodec")
    except ImportError:
        found = None
    if found is None or found.origin is None:
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            for extension in (Path(found.origin).parent / "extensions").glob("libjpeg_turbo_ext.*"):
                (Path(folder) / extension.name).symlink_to(extension)
            # Of its messages none is wanted: what is wrong with a file is said where it is read.
            with _environment({"NVIMGCODEC_EXTENSIONS_PATH": folder, "PYNVIMGCODEC_VERBOSITY": "0"}):
                return import_module("nvidia.nvimgcodec")
    except (ImportError, OSError):  # a library is missing, or a disk is full
        return None


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@lru_cache(1)
def _decoder(process: int) -> Any:
    """A decoder of this process: one from before a fork may have had threads."""
    codec = _codec()
    cpu = [codec.Backend(codec.CPU_ONLY)]
    return codec.Decoder(device_id=codec.NVIMGCODEC_DEVICE_CPU_ONLY, max_num_cpu_threads=1, backends=cpu)


@cache
def _params() -> Any:
    return _codec().DecodeParams(apply_exif_orientation=False)
