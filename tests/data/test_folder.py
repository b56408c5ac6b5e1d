import multiprocessing
import os
import shutil
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_resnet.data import folder
from lit_resnet.data.module import ImageData
from lit_resnet.errors import InputError

Picture = Callable[..., np.ndarray]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were decoded, in a list that grows."""
    paths, read_image = [], folder.read_image
    monkeypatch.setattr(folder, "read_image", lambda path, size: (paths.append(path), read_image(path, size))[1])
    return paths


def test_images_and_labels(root: Path) -> None:
    images, labels, test_images, test_labels = folder.load(root, None)
    assert images.shape == (6, 3, 12, 12)
    assert test_images.shape == (2, 3, 12, 12)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test_labels.tolist() == [0, 1]
    assert labels.dtype == torch.int64
    for i, path in enumerate(sorted(root.glob("train/*/*"))):
        assert np.array_equal(images[i].permute(1, 2, 0).numpy(), np.asarray(Image.open(path)))
    assert folder.describe(root, None) == (("cat", "dog"), (3, 12, 12))


def test_val_serves_where_there_is_no_test(root: Path) -> None:
    (root / "test").rename(root / "val")
    assert len(folder.load(root, None)[2]) == 2


def test_hidden_and_other_files_are_ignored(root: Path, picture: Picture) -> None:
    for name in (".hidden.png", "readme.txt"):
        (root / "train" / "cat" / name).write_text("no image")
    (root / "train" / ".cache").mkdir()
    picture(root / "train" / "cat" / "x.jpg")
    (root / "train" / "cat" / "x.jpg").rename(root / "train" / "cat" / "x.JPEG")
    assert len(folder.load(root, None)[0]) == 7


@pytest.mark.parametrize(
    ("mode", "name"),
    [("L", "x.png"), ("L", "x.jpg"), ("LA", "x.png"), ("1", "x.png"), ("P", "x.png"), ("RGBA", "x.png"),
     ("CMYK", "x.jpg"), ("RGB", "x.jpg"), ("RGB", "x.webp")],
)  # fmt: skip
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, name: str, picture: Picture) -> None:
    expected = picture(tmp_path / name, (16, 8), mode)
    image = folder.read_image(tmp_path / name, None)
    assert image.shape == (3, 8, 16)
    assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (20, 20), (45, 21)])
def test_image_size_resizes_the_shorter_side_and_cuts_out_the_centre(
    tmp_path: Path, size: tuple[int, int], picture: Picture
) -> None:
    picture(tmp_path / "x.png", size)
    with Image.open(tmp_path / "x.png") as image:
        width, height = (side * 10 // min(size) for side in size)
        left, top = (width - 10) // 2, (height - 10) // 2
        resized = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 10, top + 10))
    image = folder.read_image(tmp_path / "x.png", 10).permute(1, 2, 0).numpy()
    assert np.abs(image.astype(int) - np.asarray(resized)).max() <= 2


def test_sizes_that_differ(root: Path, picture: Picture) -> None:
    odd = root / "train" / "dog" / "1.png"
    picture(odd, (14, 10))
    picture(root / "train" / "dog" / "2.png", (9, 9))
    with pytest.raises(InputError, match=f"{odd}: is 14x10, but .*0.png is 12x12: give image_size"):
        folder.load(root, None)
    assert folder.load(root, 8)[0].shape == (6, 3, 8, 8)
    assert folder.describe(root, 8) == (("cat", "dog"), (3, 8, 8))


def test_second_time_from_the_cache(root: Path, decoded: list[Path], cache: Path) -> None:
    first = folder.load(root, None)
    assert len(decoded) >= 8
    decoded.clear()
    second = folder.load(root, None)
    assert decoded == []
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not list(cache.glob("*.part"))
    folder.load(root, 8)  # another size is another cache
    assert decoded


@pytest.mark.parametrize("change", ["content", "time", "added", "removed"])
def test_a_changed_folder_is_decoded_anew(
    root: Path, decoded: list[Path], cache: Path, change: str, picture: Picture
) -> None:
    before = folder.load(root, None)[0]
    decoded.clear()
    path = root / "train" / "cat" / "1.png"
    if change == "content":
        picture(path, seed=99)
    elif change == "time":
        os.utime(path, ns=(0, 0))
    elif change == "added":
        picture(root / "train" / "cat" / "3.png")
    else:
        path.unlink()
    after = folder.load(root, None)[0]
    assert decoded
    assert len(after) == {"added": 7, "removed": 5}.get(change, 6)
    assert torch.equal(before, after) == (change == "time")
    assert len(list(cache.glob("*.npz"))) == 1  # in the place of the old one


@pytest.mark.parametrize("damage", ["half", "empty", "text", "one byte"])
def test_a_damaged_cache_is_made_anew(root: Path, decoded: list[Path], cache: Path, damage: str) -> None:
    expected = folder.load(root, None)[0]
    decoded.clear()
    (path,) = cache.glob("*.npz")
    content = bytearray(path.read_bytes())
    flipped = content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
    path.write_bytes(
        {"half": content[: len(content) // 2], "empty": b"", "text": b"hello", "one byte": flipped}[damage]
    )
    assert torch.equal(folder.load(root, None)[0], expected)
    assert decoded
    decoded.clear()
    folder.load(root, None)
    assert decoded == []


def test_of_several_at_once_one_decodes(root: Path, decoded: list[Path]) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: folder.load(root, None)[0], range(4)))
    assert len(decoded) == 8 + 1  # the first file's shape is looked at before
    assert all(torch.equal(images, loaded[0]) for images in loaded)


def test_in_a_forked_process(root: Path) -> None:
    torch.randn(300, 300) @ torch.randn(300, 300)  # the threads that a fork does not inherit
    child = multiprocessing.get_context("fork").Process(target=folder.load, args=(root, 8))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_cache_that_cannot_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=f"{tmp_path}/file/.*: set XDG_CACHE_HOME"):
        folder.load(root, None)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (".", "{root}: no such folder: give as root"),
        ("train", "{root}/train: no such folder: put the training images"),
        ("test", "{root}: has neither test/ nor val/: put the test images"),
        ("test/dog", "{root}/test/dog: no such folder, but {root}/train has this class"),
        ("train/cat", "{root}/train/cat: no such folder, but {root}/test has this class"),
        ("test/dog/0.png", "{root}/test/dog: has no images"),
    ],
)
def test_what_is_missing_is_named(root: Path, gone: str, message: str) -> None:
    path = root / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(InputError) as error:
        folder.load(root, None)
    assert str(error.value).startswith(message.format(root=root))
    assert "\n" not in str(error.value)


def test_a_link_to_nowhere_is_named(root: Path) -> None:
    (root / "test" / "dog" / "1.png").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"test/dog/1.png: cannot be read \(No such file or directory\): put it back"):
        folder.load(root, None)
    with pytest.raises(InputError, match=r"test/dog/1.png: cannot be read"):  # at the end of a run
        ImageData(source="imagenet", root=str(root)).test_digest()


def test_no_classes(root: Path) -> None:
    for name in ("cat", "dog"):
        shutil.rmtree(root / "train" / name)
    with pytest.raises(InputError, match=f"{root}/train: has no class folders"):
        folder.describe(root, None)


@pytest.mark.parametrize("damage", ["half", "text", "empty"])
@pytest.mark.parametrize("name", ["0.jpg", "9.jpg"])  # the first file, whose header is looked at, and a later one
def test_a_damaged_image_is_named(root: Path, damage: str, name: str, cache: Path, picture: Picture) -> None:
    path = root / "train" / "cat" / name
    (root / "train" / "cat" / "0.png").unlink()
    picture(path)
    content = path.read_bytes()
    path.write_bytes({"half": content[: len(content) // 2], "text": b"hello", "empty": b""}[damage])
    with pytest.raises(InputError, match=f"{path}: not an image, or a damaged one"):
        folder.load(root, None)
    assert not list(cache.glob("*.npz"))
    if damage != "half" and name == "0.jpg":
        with pytest.raises(InputError, match=f"{path}: not an image, or a damaged one"):
            folder.describe(root, None)


def test_16_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)
    assert struct.unpack_from(">B", path.read_bytes(), 24) == (16,)  # PNG's bit depth
    with pytest.raises(InputError, match=f"{path}: has 16 bits"):
        folder.read_image(path, None)
