from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_resnet.data.photographs import Photographs


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lit_resnet"


@pytest.fixture
def images() -> torch.Tensor:
    """40 images of noise, [40, 3, 8, 6]: neither square nor alike in any row, column or channel."""
    return torch.randint(0, 256, (40, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def write_picture(path: Path, size: tuple[int, int] = (12, 12), mode: str = "RGB", seed: int = 0) -> np.ndarray:
    """Write noise of (width, height) as an image in this mode; returns what was written, as RGB [H, W, 3]."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **({"quality": 95} if path.suffix in (".jpg", ".JPEG") else {}))
    with Image.open(path) as written:
        return np.asarray(written.convert("RGB"))


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    return write_picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two classes, three training images and one test image of each."""
    root = tmp_path / "pets"
    for i, name in enumerate(("cat", "dog")):
        for j in range(3):
            write_picture(root / "train" / name / f"{j}.png", seed=10 * i + j)
        write_picture(root / "test" / name / "0.png", seed=10 * i + 5)
    return root


@pytest.fixture
def small() -> Photographs:
    """Sizes that suit `photo_root`."""
    return Photographs(short_side=(18, 30), crop=16, test_short_side=20, workers=0)


@pytest.fixture
def photo_root(tmp_path: Path) -> Path:
    """A folder of JPEGs of many sizes: two classes, 7 and 6 training photographs, 3 and 2 for validation."""
    root, seed = tmp_path / "photos", 0
    for split, counts in (("train", (7, 6)), ("val", (3, 2))):
        for name, count in zip(("n01", "n02"), counts, strict=True):
            for i in range(count):
                seed += 1
                write_picture(
                    root / split / name / f"{name}_{i}.JPEG", (17 + 5 * seed % 31, 19 + 7 * seed % 23), seed=seed
                )
    return root


@pytest.fixture
def cut_off() -> Callable[[Path], Path]:
    """Breaks a file off in the middle, as a copy is that was interrupted."""

    def cut(path: Path) -> Path:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return cut
