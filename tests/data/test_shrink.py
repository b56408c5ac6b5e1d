import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_resnet.data import shrink as module
from lit_resnet.data.layout import KAGGLE, META
from lit_resnet.data.photographs import read_photograph, resize_short_side
from lit_resnet.data.shrink import shrink
from lit_resnet.errors import InputError

Picture = Callable[..., np.ndarray]


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the copy's own."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".shrunk.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("jobs", [1, 2])
def test_larger_images_become_smaller_and_the_others_stay(photo_root: Path, tmp_path: Path, jobs: int) -> None:
    for name in (META, KAGGLE):
        (photo_root / name).write_text(name)
    (photo_root / "train" / "n01" / ".hidden.JPEG").write_text("")
    shrink(photo_root, tmp_path / "small", short_side=24, quality=95, jobs=jobs)
    before, after = contents(photo_root), contents(tmp_path / "small")
    assert set(after) == set(before) - {"train/n01/.hidden.JPEG"}
    smaller = 0
    for name in sorted(set(after) - {META, KAGGLE}):
        image = read_photograph(photo_root / name)
        if min(image.shape[1:]) <= 24 or not name.startswith("train"):
            assert after[name] == before[name]
            continue
        smaller += 1
        expected, found = resize_short_side(image, 24), read_photograph(tmp_path / "small" / name)
        assert found.shape == expected.shape
        assert (found.float() - expected).abs().mean() < 25  # noise is the worst that a JPEG can be of
    assert 3 < smaller < len(after) - 3
    assert after[META] == before[META]


@pytest.mark.parametrize(("name", "kind"), [("x.JPEG", "JPEG"), ("x.png", "PNG"), ("x.webp", "WEBP")])
def test_files_are_what_their_names_say(
    photo_root: Path, tmp_path: Path, name: str, kind: str, picture: Picture
) -> None:
    large = photo_root / "train" / "n01" / "large.png"
    picture(large, (50, 60))
    large.rename(large.with_name(name))
    shrink(photo_root, tmp_path / "small", 24, jobs=1)
    with Image.open(tmp_path / "small" / "train" / "n01" / name) as image:
        assert (image.format, image.size) == (kind, (24, 28))


def test_it_goes_on_with_what_is_missing(
    photo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shrink(photo_root, tmp_path / "whole", 24, jobs=1)
    target = tmp_path / "small"
    done, shrunk = [], module._shrunk

    def full(file: str, *args: Any) -> bytes | None:
        done.append(Path(file))
        if len(done) == 5:
            raise OSError(28, "No space left on device")
        return shrunk(file, *args)

    monkeypatch.setattr(module, "_shrunk", full)
    monkeypatch.setattr(module, "default_workers", lambda: 0)
    with pytest.raises(InputError, match=f"^{target}: No space left on device: make room or repair it; .* goes on$"):
        shrink(photo_root, target, 24)
    assert len(contents(target)) == 4
    (kept,) = [path for path in target.rglob("*") if path.name == done[0].name]
    kept.write_bytes(b"kept")
    capsys.readouterr()
    shrink(photo_root, target, 24)
    assert "18 images, of which 4 were there" in capsys.readouterr().err
    assert contents(target) == contents(tmp_path / "whole") | {str(kept.relative_to(target)): b"kept"}
    assert len(done) == 5 + 9  # those to train on


def test_damaged_images_are_copied_and_named(
    photo_root: Path,
    tmp_path: Path,
    cut_off: Callable[[Path], Path],
    picture: Picture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = photo_root / "train" / "n01" / "large.JPEG"
    picture(large, (50, 60))
    text = photo_root / "train" / "n02" / "text.JPEG"
    text.write_text("no image")
    for broken in (cut_off(large), text):
        shutil.rmtree(tmp_path / "small", ignore_errors=True)
        shrink(photo_root, tmp_path / "small", 24, jobs=1)
        assert f"copied as it is: {broken}: not an image" in capsys.readouterr().err
        assert (tmp_path / "small" / broken.relative_to(photo_root)).read_bytes() == broken.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 0}, "--short-side is 0: write a number from 1 to 65535"),
        ({"quality": 96}, "--quality is 96: write a number from 1 to 95"),
        ({"jobs": 0}, "--jobs is 0: write 1 or more"),
        ({"tars": 251}, "--tars is 251: write a number from 1 to 250"),
        ({"source": "nowhere"}, "nowhere: no such folder"),
        ({"target": "{source}/small"}, "/small: is in .*: give another folder for the copy"),
        ({"target": "{source}/../file/small"}, "/small: Not a directory: give another folder"),
    ],
)
def test_what_is_refused(photo_root: Path, tmp_path: Path, options: dict, message: str) -> None:
    (tmp_path / "file").write_text("")
    options = {"source": photo_root, "target": tmp_path / "small"} | options
    for name in ("source", "target"):
        options[name] = Path(str(options[name]).format(source=photo_root))
    with pytest.raises(InputError, match=message):
        shrink(**options)


def test_tars_need_training_images(photo_root: Path, tmp_path: Path) -> None:
    shutil.rmtree(photo_root / "train")
    (photo_root / "train").mkdir()
    with pytest.raises(InputError, match="--tars is 4: .*photos has no training images to put into them: leave it out"):
        shrink(photo_root, tmp_path / "small", tars=4)


def test_a_copy_is_of_one_size_and_quality(photo_root: Path, tmp_path: Path) -> None:
    shrink(photo_root, tmp_path / "small", 24, jobs=1)
    for other in ({"short_side": 20}, {"short_side": 24, "quality": 80}):
        with pytest.raises(InputError, match="small: was made with {'short_side': 24, 'quality': 90}: write the same"):
            shrink(photo_root, tmp_path / "small", **other, jobs=1)


def test_linked_classes_are_copied_too(photo_root: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    for split in ("train", "val"):
        (linked / split).mkdir(parents=True)
        for name in ("n01", "n02"):
            (linked / split / name).symlink_to(photo_root / split / name)
    shrink(linked, tmp_path / "small", 24, jobs=1)
    assert set(contents(tmp_path / "small")) == set(contents(photo_root))


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "empty" / split / "n01").mkdir(parents=True)
    with pytest.raises(InputError, match="empty: has no images"):
        shrink(tmp_path / "empty", tmp_path / "small", jobs=1)
