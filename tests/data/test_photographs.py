import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

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

Picture = Callable[..., np.ndarray]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": (300, 256)}, r"short_side is \[300, 256\]: write the smaller one first"),
        ({"crop": 257}, r"short_side begins at 256: write the crop \(257\) or more, or a smaller crop"),
        ({"test_short_side": 223}, r"test_short_side is 223: write the crop \(224\) or more"),
        ({"crop": 0}, "crop is 0: write a number from 1"),
        ({"colour": -0.1}, "colour is -0.1: write a number from 0"),
        ({"workers": -1}, "workers is -1: write a number from 0"),
        ({"mean": "image"}, "mean is 'image': write channel or pixel"),
        ({"damaged": "ignore"}, "damaged is 'ignore': write fail or skip"),
        ({"decode": "gpu"}, "decode is 'gpu': write workers or device"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Photographs(**options)


@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "x.JPEG"), ("L", "x.JPEG"), ("CMYK", "x.JPEG"), ("RGBA", "x.png"), ("P", "x.png")]
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, name: str, picture: Picture) -> None:
    expected = picture(tmp_path / name, (40, 24), mode)
    image = read_photograph(tmp_path / name)
    assert (image.shape, image.dtype) == ((3, 24, 40), torch.uint8)
    assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


def test_adobes_inverted_cmyk_with_and_without_its_mark(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "x.JPEG"
    picture(path, (32, 32), "CMYK")
    content = path.read_bytes()
    mark = content.index(b"\xff\xee")  # the segment APP14
    length = int.from_bytes(content[mark + 2 : mark + 4], "big")
    (tmp_path / "y.JPEG").write_bytes(content[:mark] + content[mark + 2 + length :])
    assert torch.equal(read_photograph(path), read_photograph(tmp_path / "y.JPEG"))


def test_png_named_jpeg(tmp_path: Path, picture: Picture) -> None:
    expected = picture(tmp_path / "x.png", (20, 30))
    (tmp_path / "x.png").rename(tmp_path / "x.JPEG")
    assert np.array_equal(read_photograph(tmp_path / "x.JPEG").permute(1, 2, 0).numpy(), expected)


def test_turns_that_exif_wants_are_ignored(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a quarter turn
    Image.new("RGB", (40, 20)).save(tmp_path / "x.JPEG", exif=turned)
    assert read_photograph(tmp_path / "x.JPEG").shape == (3, 20, 40)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "half"])
def test_damaged(tmp_path: Path, damage: str, picture: Picture) -> None:
    path = tmp_path / "x.JPEG"
    if damage != "missing":
        picture(path, (40, 40))
        content = path.read_bytes()
        path.write_bytes({"empty": b"", "text": b"hello", "half": content[: len(content) // 2]}[damage])
    with pytest.raises(Damaged) as error:
        read_photograph(path)
    assert str(error.value) == f"{path}: not an image, or a damaged one: replace it"
    again = pickle.loads(pickle.dumps(error.value))  # as from a worker
    assert (str(again), again.path) == (str(error.value), str(path))


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (33, 33), (97, 31), (31, 97), (1, 1), (3, 200)])
@pytest.mark.parametrize("short_side", [20, 31, 47])
def test_resizing_is_that_of_torchvision(size: tuple[int, int], short_side: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    expected = np.asarray(functional.resize(Image.fromarray(noise), short_side))
    image = resize_short_side(torch.from_numpy(noise).permute(2, 0, 1), short_side)
    assert image.shape == (3, *expected.shape[:2])
    assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


def test_centre() -> None:
    image = torch.arange(7 * 10).reshape(1, 7, 10).expand(3, 7, 10)
    assert torch.equal(centre(image, 4), image[:, 1:5, 3:7])
    assert torch.equal(centre(image, 7), image[:, :, 1:8])


def test_a_crop_is_pillows_of_the_same_part() -> None:
    rng = random.Random(0)
    moved = []
    for _ in range(600):
        crop, height, width = rng.choice([1, 7, 16, 32]), rng.randint(1, 90), rng.randint(1, 90)
        # Sizes that hardly change are those of which resizing a part may do nothing.
        short_side = max(crop, rng.choice([min(height, width) + rng.randint(-3, 3), rng.randint(1, 90)]))
        size = resized(height, width, short_side)
        if max(size) > 1000:
            continue
        starts = rng.randint(0, size[0] - crop), rng.randint(0, size[1] - crop)
        image = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
        rows, columns = (Span.of(*side, crop) for side in zip((height, width), size, starts, strict=True))
        view = resized_part(image[rows.pixels, columns.pixels].permute(2, 0, 1), rows, columns, crop)
        assert view.shape == (3, crop, crop)
        box = []
        for span, old, new, start in zip((columns, rows), (width, height), size[::-1], starts[::-1], strict=True):
            at = span.begin + span.skipped * old / new
            assert -1e-6 < start * old / new - at < 1, "less than a pixel of the photograph before what was drawn"
            moved.append(start * old / new - at)
            box.append((at, min(old, at + crop * old / new)))
        (left, right), (top, bottom) = box
        whole = Image.fromarray(image.numpy())
        expected = np.asarray(whole.resize((crop, crop), Image.Resampling.BILINEAR, (left, top, right, bottom)))
        assert np.abs(view.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 2, (height, width, size, starts)
    assert max(moved) > 0.9
    assert min(moved) < 1e-6


def test_a_part_is_no_larger_than_it_must_be() -> None:
    assert Span.of(500, 500, 100, 224) == Span(100, 324, 1, 0)  # not resized
    assert Span.of(1000, 500, 100, 224) == Span(198, 651, pytest.approx(0.5), 1)
    assert Span.of(1000, 500, 0, 224).pixels == slice(0, 451)
    assert Span.of(1000, 500, 276, 224).end == 1000
    assert Span.of(500, 501, 100, 224).pixels == slice(0, 500)  # of a part, interpolate would change no size
