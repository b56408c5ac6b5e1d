import io
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from lit_resnet.data import partial
from lit_resnet.data.partial import Decoded, Encoded, open_photograph
from lit_resnet.data.photographs import Damaged, read_photograph

there = pytest.mark.skipif(sys.platform != "linux", reason="nvImageCodec has no such package")


@pytest.fixture(autouse=True)
def decoder_of_this_test() -> Iterator[None]:
    partial._codec.cache_clear()
    yield
    partial._codec.cache_clear()


def noise() -> Image.Image:
    return Image.effect_noise((150, 110), 90).convert("RGB")


def jpeg(image: Image.Image | None = None, **options: Any) -> bytes:
    written = io.BytesIO()
    (image or noise()).save(written, "JPEG", **options)
    return written.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def scratched() -> bytes:
    """A JPEG that a decoder reads to its end, with damage in the middle."""
    content = bytearray(jpeg())
    content[len(content) // 2 : len(content) // 2 + 4] = b"\x12\x34\x56\x78"
    return bytes(content)


KINDS: dict[str, Callable[[], bytes]] = {
    "4:2:0": jpeg,
    "4:2:2": lambda: jpeg(subsampling="4:2:2"),
    "4:4:4": lambda: jpeg(subsampling="4:4:4"),
    "progressive": lambda: jpeg(progressive=True),
    "restarts": lambda: jpeg(restart_marker_rows=1),
    "RGB": lambda: jpeg(keep_rgb=True),
    "turned": lambda: jpeg(exif=turned()),
    "scratched": scratched,
    "one pixel": lambda: jpeg(noise().crop((0, 0, 1, 1))),
    "junk at its end": lambda: jpeg() + b"junk\xff\xd9",
}


@there
@pytest.mark.parametrize("kind", KINDS)
def test_a_part_has_the_pixels_of_the_whole(tmp_path: Path, kind: str) -> None:
    (file := tmp_path / "a.JPEG").write_bytes(KINDS[kind]())
    whole, photograph, rng = read_photograph(file), open_photograph(str(file)), random.Random(0)
    assert isinstance(photograph, Encoded)
    assert photograph.size == tuple(whole.shape[1:])
    for _ in range(50):
        rows, columns = (slice(*sorted(rng.sample(range(side + 1), 2))) for side in photograph.size)
        assert torch.equal(photograph.part(rows, columns), whole[:, rows, columns])


@pytest.mark.parametrize("mode", ["L", "CMYK", "PNG"])
def test_others_are_read_as_a_whole(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "a.JPEG"
    noise().save(file, "PNG") if mode == "PNG" else file.write_bytes(jpeg(noise().convert(mode)))
    photograph = open_photograph(str(file))
    assert isinstance(photograph, Decoded)
    assert torch.equal(photograph.part(slice(3, 30), slice(4, 40)), read_photograph(file)[:, 3:30, 4:40])


@pytest.mark.parametrize("content", [jpeg()[:-2], jpeg()[:2000], b"", b"\xff\xd8 no image \xff\xd9", None])
def test_damaged(tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the crop would show."""
    file = tmp_path / "a.JPEG"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Damaged, match="a.JPEG: not an image, or a damaged one: replace it"):
        open_photograph(str(file))
    assert capfd.readouterr().err == ""


def test_where_the_decoder_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "a.JPEG").write_bytes(jpeg())
    monkeypatch.setattr(partial, "find_spec", lambda name: None)
    photograph = open_photograph(str(file))
    assert isinstance(photograph, Decoded)
    assert torch.equal(photograph.image, read_photograph(file))


def test_where_there_is_no_room_for_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "a.JPEG").write_bytes(jpeg())
    monkeypatch.setattr(partial.tempfile, "TemporaryDirectory", Mock(side_effect=OSError(28, "No space left")))
    assert isinstance(open_photograph(str(file)), Decoded)


@there
def test_what_the_decoder_cannot_read_torchvision_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "a.JPEG").write_bytes(jpeg())

    class Failing:
        def decode(self, *_: object, **__: object) -> None: ...

    photograph = open_photograph(str(file))
    monkeypatch.setattr(partial, "_decoder", lambda process: Failing())
    assert torch.equal(photograph.part(slice(5, 9), slice(0, 8)), read_photograph(file)[:, 5:9, :8])


@there
def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNVIMGCODEC_VERBOSITY", "3")
    before = dict(os.environ)
    assert partial._codec() is not None
    assert dict(os.environ) == before
