from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor

from lit_resnet.data import folder, sources
from lit_resnet.data.augment import subtract_mean
from lit_resnet.data.module import ImageData
from lit_resnet.data.stream import Block
from lit_resnet.errors import InputError


def digits(**options: Any) -> ImageData:
    data = ImageData(source="digits", pad=1, flip=False, **options)
    data.prepare_data()
    data.setup("fit")
    return data


def numbers(images: Tensor, among: Tensor) -> list[int]:
    """Where each of these images is among those."""
    where = {image.numpy().tobytes(): i for i, image in enumerate(among)}
    return [where[image.numpy().tobytes()] for image in images]


@pytest.mark.parametrize(
    ("source", "classes", "shape"),
    [
        ("digits", 10, (1, 8, 8)),
        ("cifar10", 10, (3, 32, 32)),
        ("cifar100", 100, (3, 32, 32)),
        ("fashion-mnist", 10, (1, 28, 28)),
    ],
)
def test_what_is_known_at_once(source: str, classes: int, shape: tuple[int, int, int]) -> None:
    data = ImageData(source=source, root="/nowhere")
    assert (data.num_classes, data.image_shape, data.in_channels, data.name) == (classes, shape, shape[0], source)


def test_what_is_known_of_a_folder_without_decoding(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(folder, "read_image")
    data = ImageData(source="folder", root=str(root))
    assert (data.num_classes, data.image_shape, data.in_channels) == (2, (3, 12, 12), 3)
    assert data.name == "folder:pets"
    assert ImageData(source="folder", root=str(root), image_size=8).image_shape == (3, 8, 8)
    with pytest.raises(InputError, match=f"{root}x: no such folder"):
        ImageData(source="folder", root=f"{root}x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "cifar-10"}, "source is 'cifar-10': write one of .*; did you mean cifar10"),
        ({"image_size": 32}, "image_size is 32: leave it out"),
        ({"source": "folder", "image_size": 0}, "image_size is 0: write 1 or more"),
        ({"val_size": -1}, "val_size is -1: write 0 or more"),
        ({"batch_size": 0}, "batch_size is 0: write 1 or more"),
        ({"pad": -1}, "pad is -1: write 0 or more"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageData(**options)


def test_val_split_is_fixed_disjoint_and_not_in_the_mean(tmp_path: Path) -> None:
    every = sources.load("digits", tmp_path)[0]
    torch.manual_seed(1)
    a = digits(val_size=297)
    torch.manual_seed(2)
    b = digits(val_size=297)
    assert torch.equal(a.val[0], b.val[0])
    assert torch.equal(a.train[1], b.train[1])
    assert (len(a.train[0]), len(a.val[0]), len(a.test[0])) == (1000, 297, 500)
    assert sorted(numbers(torch.cat([a.train[0], a.val[0]]), every)) == list(range(1297))
    assert torch.allclose(a.mean, a.train[0].double().mean(0).float())
    assert not torch.allclose(a.mean, every.double().mean(0).float())
    with pytest.raises(InputError, match="val_size is 1297, but there are 1297"):
        digits(val_size=1297)


def test_test_images_first_and_those_held_out_second() -> None:
    with_val, without = digits(val_size=97, batch_size=200), digits(batch_size=200)
    assert [sum(len(labels) for _, labels in batches) for batches in with_val.val_dataloader()] == [500, 97]
    assert [sum(len(labels) for _, labels in batches) for batches in without.val_dataloader()] == [500]
    images, labels = next(iter(without.test_dataloader()))
    assert torch.equal(images, subtract_mean(without.test[0][:200], without.mean))
    assert torch.equal(labels, without.test[1][:200])


def batches(data: ImageData) -> Iterator[tuple[Tensor, Tensor]]:
    return chain.from_iterable(data.train_dataloader())


def test_the_seed_is_torchs() -> None:
    def first_labels(seed: int) -> list[int]:
        seed_everything(seed, verbose=False)
        return next(batches(digits()))[1].tolist()

    assert first_labels(0) == first_labels(0) != first_labels(1)


class Recorder(LightningModule):
    """A net of one weight that keeps the batches that it was trained and evaluated on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[Tensor] = []
        self.evaluated = [0, 0]

    def training_step(self, block: Block, batch_idx: int) -> Tensor:
        ((images, _),) = block
        self.trained.append(images)
        return self.weight * images.mean()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        self.evaluated[dataloader_idx] += len(batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_trainer_resumes_with_the_batch_it_would_have_had(tmp_path: Path) -> None:
    def fit(max_steps: int, **resume: Path) -> tuple[Recorder, Trainer]:
        seed_everything(3, verbose=False)
        trainer = Trainer(
            accelerator="cpu", max_steps=max_steps, val_check_interval=2, check_val_every_n_epoch=None,
            num_sanity_val_steps=0, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        net = Recorder()
        trainer.fit(net, ImageData(source="digits", pad=1, batch_size=500, val_size=100), **resume)
        return net, trainer

    whole, _ = fit(6)
    first, trainer = fit(3)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second, _ = fit(6, ckpt_path=tmp_path / "last.ckpt")
    assert len(first.trained) == 3
    assert whole.evaluated == [1500, 300]
    for a, b in zip(whole.trained, first.trained + second.trained, strict=True):
        assert torch.equal(a, b)


def test_folder_is_decoded_by_prepare_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ImageData(source="folder", root=str(root), batch_size=4)
    data.prepare_data()
    monkeypatch.delattr(folder, "read_image")  # setup finds the cache
    data.setup("fit")
    images, _ = next(batches(data))
    assert images.shape == (4, 3, 12, 12)
