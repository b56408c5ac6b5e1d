from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lit_resnet.data import means
from lit_resnet.data.layout import training_images
from lit_resnet.data.photographs import Photographs, centre, read_photograph, resize_short_side
from lit_resnet.data.reading import Damages
from lit_resnet.errors import InputError


def mean(root: Path, photographs: Photographs, files: list[str] | None = None) -> Tensor:
    files = files or training_images(root, ("val", "test"))[0]
    workers = photographs.workers or 0
    return means.mean_of_photographs(root, files, photographs, workers, Damages(photographs.damaged))


def written_out(files: list[str]) -> Tensor:
    crops = [centre(resize_short_side(read_photograph(file), 20), 16) for file in files]
    return torch.stack(crops).double().mean(0)


@pytest.fixture
def files(photo_root: Path) -> list[str]:
    return training_images(photo_root, ("val", "test"))[0]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each mean was made of that was made."""
    counts, make = [], means._mean_image
    monkeypatch.setattr(means, "_mean_image", lambda files, *rest: (counts.append(len(files)), make(files, *rest))[1])
    return counts


@pytest.mark.parametrize("workers", [0, 2])
def test_of_each_channel_and_of_each_pixel(
    photo_root: Path, files: list[str], small: Photographs, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(means, "PORTION", 5)
    small, expected = replace(small, workers=workers), written_out(files)
    by_channel = mean(photo_root, small)
    assert (by_channel.shape, by_channel.dtype) == ((3, 1, 1), torch.float32)
    assert torch.allclose(by_channel.flatten(), expected.mean((1, 2)).float(), atol=1e-4)
    by_pixel = mean(photo_root, replace(small, mean="pixel"))
    assert torch.allclose(by_pixel, expected.float(), atol=1e-4)


def test_kept_until_files_come_or_go(photo_root: Path, small: Photographs, computed: list[int], cache: Path) -> None:
    first = mean(photo_root, small)
    assert torch.equal(mean(photo_root, small), first)
    assert computed == [13]
    for other in (replace(small, mean="pixel"), replace(small, test_short_side=22), replace(small, crop=14)):
        mean(photo_root, other)
    assert computed == [13] * 4
    assert len(list(cache.glob("*.npz"))) == 4
    mean(photo_root, replace(small, short_side=(17, 20), colour=0, workers=0, damaged="skip"))
    assert computed == [13] * 4
    (photo_root / "train" / "n01" / "n01_0.JPEG").unlink()
    assert not torch.equal(mean(photo_root, small), first)
    assert computed[4:] == [12]
    assert len(list(cache.glob("*.npz"))) == 4  # in the place of the old one


def test_of_a_channel_from_evenly_spread_images(
    photo_root: Path, files: list[str], small: Photographs, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(means, "MOST", 4)
    expected = written_out([files[i] for i in (0, 4, 8, 12)]).mean((1, 2)).float()
    assert torch.allclose(mean(photo_root, small).flatten(), expected, atol=1e-4)
    mean(photo_root, replace(small, mean="pixel"))
    assert computed == [4, 13]


def test_damaged_images(
    photo_root: Path,
    files: list[str],
    small: Photographs,
    cut_off: Callable[[Path], Path],
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cut_off(Path(files[5]))
    with pytest.raises(InputError, match=f"{files[5]}: not an image, or a damaged one"):
        mean(photo_root, small)
    assert not list(cache.glob("*.npz"))
    expected = written_out(files[:5] + files[6:]).mean((1, 2)).float()
    assert torch.allclose(mean(photo_root, replace(small, damaged="skip")).flatten(), expected, atol=1e-4)
    assert f"skipped: {files[5]}" in capsys.readouterr().err
    with pytest.raises(InputError, match=f"{files[5]}: damaged, like all other training images"):
        mean(photo_root, replace(small, damaged="skip", crop=15), [files[5]])
