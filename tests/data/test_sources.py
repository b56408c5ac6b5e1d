import gzip
import pickle
import struct
import threading
import time
import zlib
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from filelock import FileLock
from torchvision import datasets
from torchvision.datasets.utils import calculate_md5

from lit_resnet import data_sets
from lit_resnet.data import sources
from lit_resnet.data.dataset import Settings
from lit_resnet.data.in_memory import InMemory, Splits
from lit_resnet.errors import InputError

DIGITS_CHECKSUMS = [3294216390, 1794458929, 3616487161, 1318419831]


def load(source: str, root: Path) -> Splits:
    train, test = sources.find(source).load(Settings(source, root))
    return *train, *test


def test_digits_are_split_the_same_way_whatever_the_seed(tmp_path: Path) -> None:
    torch.manual_seed(1)
    images, labels, test_images, test_labels = load("digits", tmp_path)
    torch.manual_seed(2)
    again = load("digits", tmp_path)
    assert images.shape == (1297, 1, 8, 8)
    assert test_images.shape == (500, 1, 8, 8)
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert set(images.unique().tolist()) == {round(level * 255 / 16) for level in range(17)}
    for splits in (again, (images, labels, test_images, test_labels)):
        assert [zlib.crc32(part.numpy().tobytes()) for part in splits] == DIGITS_CHECKSUMS


def write_idx(path: Path, values: np.ndarray) -> None:
    content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def fashion(place: Path, suffix: str = ".gz") -> dict[str, np.ndarray]:
    """A small Fashion-MNIST: 30 training images and 20 test images."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 30), ("t10k", 20)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = np.arange(n, dtype=np.uint8) % 10
    for name, values in arrays.items():
        write_idx(place / f"{name}{suffix}", values)
    return arrays


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_fashion_mnist_reads_the_original_files(tmp_path: Path, suffix: str, below: str) -> None:
    arrays = fashion(tmp_path / below, suffix)
    splits = load("fashion-mnist", tmp_path)
    assert [split.dtype for split in splits] == [torch.uint8, torch.int64] * 2
    for tensor, values in zip(splits, arrays.values(), strict=True):
        assert np.array_equal(tensor.squeeze(1).numpy() if values.ndim == 3 else tensor.numpy(), values)
    assert splits[0].shape == (30, 1, 28, 28)


def test_a_download_by_another_process_is_awaited(tmp_path: Path) -> None:
    fashion(tmp_path)
    path, begun = tmp_path / "t10k-images-idx3-ubyte.gz", threading.Event()
    content = path.read_bytes()

    def download() -> None:
        with FileLock(tmp_path / sources.LOCK):
            path.write_bytes(content[: len(content) // 2])
            begun.set()
            time.sleep(0.3)
            path.write_bytes(content)

    threading.Thread(target=download).start()
    assert begun.wait(10)
    assert len(load("fashion-mnist", tmp_path)[2]) == 20


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_a_damaged_idx_file_is_named(tmp_path: Path, suffix: str, keep: float) -> None:
    fashion(tmp_path, suffix)
    path = tmp_path / f"t10k-images-idx3-ubyte{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match=f"{path}: damaged"):
        load("fashion-mnist", tmp_path)


def test_a_missing_idx_file_is_named(tmp_path: Path) -> None:
    fashion(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: no such file"):
        load("fashion-mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("train-labels-idx1", np.full(30, 10, np.uint8), "has the label 10, but those of fashion-mnist are 0 to 9"),
        ("t10k-labels-idx1", np.zeros(19, np.uint8), "has 19 labels for images of shape"),
        ("t10k-images-idx3", np.zeros((20, 28, 27), np.uint8), "which is not fashion-mnist"),
    ],
)
def test_files_of_something_else(tmp_path: Path, name: str, values: np.ndarray, message: str) -> None:
    fashion(tmp_path)
    write_idx(tmp_path / f"{name}-ubyte.gz", values)
    with pytest.raises(InputError, match=f"{tmp_path}: .*{message}"):
        load("fashion-mnist", tmp_path)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small CIFAR-10 in torchvision's format, with checksums of its own: 4 images a batch, all of one colour."""
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()

    def write(name: str, content: dict) -> tuple[str, str]:
        (place / name).write_bytes(pickle.dumps(content))
        return name, calculate_md5(place / name)

    def batch(first: int) -> dict:
        colours = np.arange(3 * first, 3 * (first + 4), dtype=np.uint8).reshape(4, 3)
        return {"data": colours.repeat(1024, axis=1), "labels": [(first + i) % 10 for i in range(4)]}

    train = [write(f"data_batch_{i + 1}", batch(4 * i)) for i in range(5)]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [write("test_batch", batch(20))])
    meta = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(datasets.CIFAR10, "meta", dict(zip(("filename", "md5"), meta, strict=True), key="label_names"))
    return place


def test_cifar10(cifar: Path) -> None:
    images, labels, test_images, test_labels = load("cifar10", cifar.parent)
    assert images.shape == (20, 3, 32, 32)
    assert images.is_contiguous()
    assert labels.tolist() == [i % 10 for i in range(20)]
    assert test_labels.tolist() == [0, 1, 2, 3]
    colours = torch.cat([images, test_images]).flatten(2)
    assert (colours == torch.arange(72).reshape(24, 3, 1)).all()


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("damage", ["half", "gone"])
def test_a_damaged_cifar_file_is_named(cifar: Path, name: str, damage: str) -> None:
    path = cifar / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) if damage == "half" else path.unlink()
    with pytest.raises(InputError, match=f"{path}: missing or damaged: remove {cifar}"):
        load("cifar10", cifar.parent)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("cifar10", "put cifar-10-python.tar.gz, or the folder cifar-10-batches-py"),
        ("cifar100", "put cifar-100-python.tar.gz, or the folder cifar-100-python"),
        ("fashion-mnist", "put the files train-images-idx3-ubyte.gz"),
    ],
)
def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, wanted: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network\nat all")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(InputError) as error:
        load(source, tmp_path / "data")
    assert str(error.value).startswith(f"{tmp_path}/data: lacks ")
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["digits", "fashion-mnist"])
def test_describe_agrees_with_load(tmp_path: Path, source: str) -> None:
    fashion(tmp_path)
    classes, shape, *_ = sources.find(source).describe(Settings(source))
    images, labels, *_ = load(source, tmp_path)
    assert images.shape[1:] == shape
    assert len(labels.unique()) == len(classes)


def test_what_light_modules_know_of_data_sets_is_what_the_objects_say() -> None:
    assert set(data_sets.PHOTOGRAPHS) == {name for name, one in sources.DATA_SETS.items() if one.cropped}
    assert set(data_sets.PUBLISHED) == {name for name, one in sources.DATA_SETS.items() if isinstance(one, InMemory)}
    assert data_sets.DEFAULT in sources.DATA_SETS
