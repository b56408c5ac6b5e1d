from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from lit_resnet.data import crops, layout
from lit_resnet.data.augment import subtract_mean
from lit_resnet.data.layout import VAL_THEN_TEST
from lit_resnet.data.order import rng_of_batch
from lit_resnet.data.photo_stream import PhotoBatches, PhotoStream, Reader
from lit_resnet.data.photographs import (
    Photographs,
    Span,
    centre,
    read_photograph,
    resize_short_side,
    resized,
    resized_part,
)
from lit_resnet.data.reading import Damages
from lit_resnet.data.stream import Batch
from lit_resnet.errors import InputError

MEAN = torch.tensor([120.0, 110.0, 100.0]).reshape(3, 1, 1)
CutOff = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def portions_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small batch is of several, the last one short."""
    monkeypatch.setattr(crops, "PORTION", 4)


def reader(photographs: Photographs) -> Reader:
    device = torch.device("cpu")
    return Reader(photographs, MEAN, device, photographs.workers or 0, Damages(photographs.damaged))


def stream(root: Path, photographs: Photographs, batch_size: int = 10, seed: int = 7, **where: int) -> PhotoStream:
    files, _ = layout.training_images(root, VAL_THEN_TEST)
    numbers = torch.arange(len(files))  # an image's label is its number
    return PhotoStream(files, numbers, reader(photographs), True, batch_size, seed, **where)


def take(stream: PhotoStream, n: int) -> list[Batch]:
    batches = list(islice(stream, n))
    stream.close()
    return batches


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_each_image_once_a_pass(photo_root: Path, small: Photographs) -> None:
    batches = take(stream(photo_root, small), 4)  # 40 images: three passes of 13, and one more
    assert [tuple(images.shape) for images, _ in batches] == [(10, 3, 16, 16)] * 4
    passes = torch.cat([labels for _, labels in batches]).split(13)[:3]
    assert all(sorted(labels.tolist()) == list(range(13)) for labels in passes)
    assert len({tuple(labels.tolist()) for labels in passes}) == 3


@pytest.mark.parametrize("decode", ["workers", "device"])
def test_batches_are_the_same_whoever_reads_them_and_after_a_resume(
    photo_root: Path, small: Photographs, decode: str
) -> None:
    expected = take(stream(photo_root, small), 5)
    by_two = stream(photo_root, replace(small, workers=2, decode=decode))
    assert all(map(same, take(by_two, 5), expected))
    assert by_two.position == 5
    for position in (1, 2, 4):
        resumed = stream(photo_root, replace(small, workers=position % 2, decode=decode), position=position)
        assert all(map(same, take(resumed, 5 - position), expected[position:]))


def test_seeds_and_batches_differ(photo_root: Path, small: Photographs) -> None:
    (a, b), (c,) = take(stream(photo_root, small), 2), take(stream(photo_root, small, seed=8), 1)
    assert a[1].tolist() != c[1].tolist()
    assert a[1].tolist() != b[1].tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_stay_what_they_are(photo_root: Path, small: Photographs, workers: int) -> None:
    """Though crops come in memory that is used again."""
    small = replace(small, workers=workers)
    batches = stream(photo_root, small)
    found = [next(batches) for _ in range(6)]
    batches.close()
    for k in range(6):
        assert same(found[k], take(stream(photo_root, small, position=k), 1)[0])


def test_devices_share_a_batch(photo_root: Path, small: Photographs) -> None:
    whole = take(stream(photo_root, small, batch_size=12), 3)
    shards = [take(stream(photo_root, small, batch_size=12, rank=r, world_size=2), 3) for r in range(2)]
    for k in range(3):
        parts = [shards[r][k] for r in range(2)]
        assert [len(labels) for _, labels in parts] == [6, 6]
        assert same(whole[k], tuple(torch.cat([part[i] for part in parts]) for i in range(2)))


def test_views_are_what_was_drawn(photo_root: Path, small: Photographs) -> None:
    """Written out: side, place, mirroring and colour of each image of a batch."""
    small = replace(small, colour=0.5)
    ((images, labels),) = take(stream(photo_root, small, position=3), 1)
    rng = rng_of_batch(7, 3)
    sides = rng.integers(18, 31, 10)
    down, right, mirror = rng.random((3, 10))
    alphas = rng.normal(scale=0.5, size=(10, 3))
    files, _ = layout.training_images(photo_root, VAL_THEN_TEST)
    deviations = torch.tensor([0.2175, 0.0188, 0.0045])
    components = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    for i in range(10):
        photograph = read_photograph(files[labels[i]])
        height, width = resized(*photograph.shape[1:], int(sides[i]))
        top, left = int(down[i] * (height - 15)), int(right[i] * (width - 15))
        spans = [Span.of(*side, 16) for side in zip(photograph.shape[1:], (height, width), (top, left), strict=True)]
        view = resized_part(photograph[:, spans[0].pixels, spans[1].pixels], *spans, 16)
        view = view.flip(2) if mirror[i] < 0.5 else view
        shift = sum(components[:, k] * float(alphas[i, k]) * deviations[k] for k in range(3))
        expected = (view - MEAN) / 255 + shift.reshape(3, 1, 1)
        assert (images[i] - expected).abs().max() < 1e-6
    assert len({bool(m < 0.5) for m in mirror}) == 2


def test_every_side_and_place_is_drawn(photo_root: Path, small: Photographs) -> None:
    files, labels = layout.training_images(photo_root, VAL_THEN_TEST)
    small = replace(small, short_side=(16, 18))
    source = PhotoStream(files, labels, reader(small), False, 600, seed=0)
    draws = source._places(0).draws
    assert {draw.short_side for draw in draws} == {16, 17, 18}
    assert not any(draw.flip for draw in draws)
    windows = {draw.window(20, 20, 16) for draw in draws}
    expected = {((s, s), top, left) for s in (16, 17, 18) for top in range(s - 15) for left in range(s - 15)}
    assert windows == expected


@pytest.mark.parametrize("decode", ["workers", "device"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_fails_in_training_and_evaluation(
    photo_root: Path, small: Photographs, cut_off: CutOff, workers: int, decode: str
) -> None:
    small = replace(small, workers=workers, decode=decode)
    for broken in ("train/n01/n01_3.JPEG", "val/n02/n02_1.JPEG"):
        cut_off(photo_root / broken)
    with pytest.raises(
        InputError, match=f"^{photo_root}/train/n01/n01_3.JPEG: not an image, or a damaged one: replace it$"
    ):
        take(stream(photo_root, small), 2)
    with pytest.raises(InputError, match=f"^{photo_root}/val/n02/n02_1.JPEG: not an image"):
        list(PhotoBatches(*layout.test_images(photo_root, VAL_THEN_TEST), reader(small), 2))


@pytest.mark.parametrize("decode", ["workers", "device"])
def test_the_next_sound_image_takes_the_place_of_a_damaged_one(
    photo_root: Path, small: Photographs, cut_off: CutOff, decode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(small, damaged="skip", decode=decode)
    order = torch.cat([labels for _, labels in take(stream(photo_root, small), 5)]).tolist()
    broken = {order[2], order[3], order[7]}
    for number in broken:
        cut_off(Path(layout.training_images(photo_root, VAL_THEN_TEST)[0][number]))
    expected = [next(image for image in order[i:] if image not in broken) for i in range(40)]
    skipping = stream(photo_root, small)
    batches = take(skipping, 4)
    assert torch.cat([labels for _, labels in batches]).tolist() == expected
    said = capsys.readouterr().err
    assert said.count("skipped: ") == 3  # though each was met in every pass
    resumed = take(stream(photo_root, replace(small, workers=2), position=2), 2)
    assert all(map(same, resumed, batches[2:]))


def test_nothing_but_damaged_images(photo_root: Path, small: Photographs, cut_off: CutOff) -> None:
    for path in photo_root.glob("*/*/*"):
        cut_off(path)
    skip = replace(small, damaged="skip")
    with pytest.raises(InputError, match="damaged, as are all images before it in a row"):
        take(stream(photo_root, skip), 1)
    assert list(PhotoBatches(*layout.test_images(photo_root, VAL_THEN_TEST), reader(skip), 2)) == []


@pytest.mark.parametrize(("workers", "decode"), [(0, "workers"), (2, "workers"), (1, "device")])
def test_evaluation_is_by_centre_crops_in_order(
    photo_root: Path, small: Photographs, workers: int, decode: str
) -> None:
    files, labels = layout.test_images(photo_root, VAL_THEN_TEST)
    batches = PhotoBatches(files, labels, reader(replace(small, workers=workers, decode=decode)), batch_size=2)
    assert len(batches) == 3
    for _ in range(2):  # a second time as the first
        found = list(batches)
        assert [len(labels) for _, labels in found] == [2, 2, 1]
        assert torch.equal(torch.cat([labels for _, labels in found]), labels)
        for image, file in zip(torch.cat([images for images, _ in found]), files, strict=True):
            view = centre(resize_short_side(read_photograph(file), 20), 16)
            assert torch.equal(image, subtract_mean(view, MEAN))


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_evaluation_counts_each_sound_image_once(
    photo_root: Path, small: Photographs, world_size: int, cut_off: CutOff
) -> None:
    files, _ = layout.test_images(photo_root, VAL_THEN_TEST)
    cut_off(Path(files[1]))
    seen = []
    for rank in range(world_size):
        skip = reader(replace(small, damaged="skip"))
        for images, labels in PhotoBatches(files, torch.arange(5), skip, 2, rank, world_size):
            assert len(images) == len(labels) > 0
            seen += labels.tolist()
    assert sorted(seen) == [0, 2, 3, 4]


@pytest.mark.parametrize("mode", ["CMYK", "L", "PNG", "tiny"])
def test_unusual_images_are_the_same_to_the_device(
    photo_root: Path, small: Photographs, mode: str, picture: Callable[..., np.ndarray]
) -> None:
    path = photo_root / "train" / "n01" / "n01_0.JPEG"
    if mode == "PNG":
        picture(path.with_suffix(".png"), (30, 40)), path.with_suffix(".png").rename(path)
    else:
        picture(path, (1, 1) if mode == "tiny" else (30, 40), "RGB" if mode == "tiny" else mode)
    by_workers = take(stream(photo_root, small), 2)
    on_device = take(stream(photo_root, replace(small, decode="device")), 2)
    assert all(map(same, by_workers, on_device))


def test_what_is_left_to_the_device(
    photo_root: Path, small: Photographs, cut_off: CutOff, picture: Callable[..., np.ndarray]
) -> None:
    """JPEGs of RGB and greyscale that are whole; a GPU's decoder may take others for something else."""
    folder = photo_root / "train" / "n01"
    picture(folder / "n01_0.JPEG", mode="L")
    picture(folder / "n01_1.JPEG", mode="CMYK")
    picture(folder / "n01_2.png")
    cut_off(folder / "n01_3.JPEG")
    (folder / "n01_4.JPEG").write_text("no image")
    names = ["n01_0.JPEG", "n01_1.JPEG", "n01_2.png", "n01_3.JPEG", "n01_4.JPEG", "n01_5.JPEG", "missing.JPEG"]
    files = [str(folder / name) for name in names]
    loaded = crops.load_files(crops.Places(files, np.arange(7), [None] * 7, np.zeros((7, 3), np.float32)))
    assert [length > 0 for length in loaded.lengths] == [True, False, False, False, False, True, False]
    decoded = crops.decode(loaded, torch.device("cpu"))
    assert list(decoded) == [files[0], files[5]]
    assert torch.equal(decoded[files[5]], read_photograph(files[5]))
