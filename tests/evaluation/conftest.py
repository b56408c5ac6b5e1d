from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lab import make_summary
from PIL import Image

from lit_resnet.evaluation.images import TestImages
from lit_resnet.nets import Net, NetConfig, build
from lit_resnet.run.config import RunCLI
from lit_resnet.runfolder.folder import RunFolder

SIZES = ((40, 50), (50, 40), (44, 44))
CLASSES = 6
NET = {"depth": 8, "shortcut": "A"}  # small, and it takes images of any size


def write_photograph(path: Path, size: tuple[int, int], seed: int) -> None:
    """Write coarse noise of (width, height) as a JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=95)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of six classes: one of each to train on, four to validate, in three sizes."""
    root = tmp_path_factory.mktemp("photographs")
    for i in range(CLASSES):
        write_photograph(root / "train" / f"n{i}" / "0.JPEG", (44, 44), seed=100 + i)
        for j in range(4):
            write_photograph(root / "val" / f"n{i}" / f"{j}.JPEG", SIZES[(i + j) % 3], seed=4 * i + j)
    return root


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For all tests here."""


def with_statistics(net: Net) -> Net:
    """Random weights and BN statistics with which a net does not give all images the same scores."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


@pytest.fixture(scope="session")
def sure() -> Callable[[Net], Net]:
    return with_statistics


def write_run(path: Path, root: Path, seed: int, mean: torch.Tensor | None, **net: str | int) -> RunFolder:
    """A run folder with random weights."""
    folder = RunFolder(path)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    made = with_statistics(build(NetConfig(**NET | net, num_classes=CLASSES)))
    data = {
        "source": "imagenet",
        "root": str(root),
        "photographs": {"short_side": [36, 48], "crop": 32, "test_short_side": 40, "workers": 0},
    }
    folder.config_file.write_text(yaml.safe_dump({"model": {"net": NET | net}, "data": data}))
    folder.write_summary(make_summary(data="", test_images=TestImages(RunCLI({"data": data}).data()).digest))
    weights = {f"net.{name}": value for name, value in made.state_dict().items()}
    checkpoint = {"state_dict": weights, "net": str(made.config)} | ({} if mean is None else {"data": {"mean": mean}})
    torch.save(checkpoint, folder.checkpoints / "last.ckpt")
    return folder


@pytest.fixture
def run(tmp_path: Path, root: Path) -> Callable[..., RunFolder]:
    """Makes run folders: their name and the seed of their weights."""

    def make(name: str = "run", seed: int = 0, **net: str | int) -> RunFolder:
        return write_run(tmp_path / name, root, seed, torch.full((3, 1, 1), 120.0), **net)

    return make
