import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor

from lit_resnet.data import folder, layout, sources
from lit_resnet.data.augment import subtract_mean
from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs
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
        ({"source": "cifar-10"}, "data.source is cifar-10: write one of .*; did you mean cifar10"),
        ({"image_size": 32}, "image_size is 32: leave it out"),
        ({"source": "folder", "image_size": 0}, "image_size is 0: write a number from 1"),
        ({"val_size": -1}, "val_size is -1: write a number from 0"),
        ({"batch_size": 0}, "batch_size is 0: write a number from 1"),
        ({"pad": -1}, "pad is -1: write a number from 0"),
        (
            {"source": "imagenet", "image_size": 32},
            "image_size is 32: leave it out, photographs.crop is that of imagenet",
        ),
        (
            {"photographs": Photographs(crop=128)},
            r"photographs is .*crop=128.*: leave it out, it is for source imagenet",
        ),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageData(**options)


def test_val_split_is_fixed_disjoint_and_not_in_the_mean(tmp_path: Path) -> None:
    every = sources.digits(tmp_path)[0]
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
    with pytest.raises(ValueError, match="val_size is 1297, but there are 1297"):
        digits(val_size=1297)


def test_a_run_goes_on_with_its_own_classes_alone(root: Path) -> None:
    data = ImageData(source="folder", root=str(root))
    state = data.state()
    data.restore(state)
    for split in ("train", "test"):
        (root / split / "cat").rename(root / split / "eel")
    with pytest.raises(
        InputError, match="folder:pets: class 1 of these images is dog, and of the net cat: give images"
    ):
        ImageData(source="folder", root=str(root)).restore(state)


def test_test_images_first_and_those_held_out_second() -> None:
    with_val, without = digits(val_size=97, batch_size=200), digits(batch_size=200)
    assert [sum(len(labels) for _, labels in batches) for batches in with_val.val_dataloader()] == [500, 97]
    assert [sum(len(labels) for _, labels in batches) for batches in without.val_dataloader()] == [500]
    images, labels = next(iter(without.test_dataloader()))
    assert torch.equal(images, subtract_mean(without.test[0][:200], without.mean))
    assert torch.equal(labels, without.test[1][:200])


def batches(data: ImageData) -> Iterator[tuple[Tensor, Tensor]]:
    """The endless stream of a run."""
    data.stretch = 1
    return iter(data.train_dataloader())


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

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, _ = batch
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


def trained_by(world_size: int) -> SimpleNamespace:
    """What ImageData looks at of a Trainer, on the first of some devices."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(
        global_rank=0,
        world_size=world_size,
        num_devices=world_size,
        global_step=0,
        strategy=strategy,
        overfit_batches=0,
        max_steps=-1,
    )


def test_devices_share_a_batch_evenly_or_not_at_all() -> None:
    data = digits(batch_size=12)
    for devices in (1, 2, 3):
        data.trainer = trained_by(devices)
        assert len(next(batches(data))[1]) == 12 // devices
    data.trainer = trained_by(5)
    with pytest.raises(InputError, match="data.batch_size is 12, which 5 devices do not divide: write a multiple"):
        data.train_dataloader()


def photos(root: Path, small: Photographs, **options: Any) -> ImageData:
    return ImageData(source="imagenet", root=str(root), photographs=small, batch_size=6, **options)


def test_what_is_known_of_photographs_without_listing_them(
    photo_root: Path, small: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(layout.InFolder, "of")
    data = photos(photo_root, small)
    assert (data.num_classes, data.image_shape, data.name) == (2, (3, 16, 16), "folder:photos")
    monkeypatch.setattr(layout, "is_imagenet", lambda classes: classes == ["n01", "n02"])
    assert photos(photo_root, small).name == "imagenet"
    (photo_root / "val" / "n02").rename(photo_root / "val" / "n03")
    with pytest.raises(InputError, match="n02: no such folder, but"):
        photos(photo_root, small)


def test_photographs_that_are_held_out(photo_root: Path, small: Photographs) -> None:
    data = photos(photo_root, small, val_size=4)
    data.setup("fit")
    assert (len(data.train[0]), len(data.val[0]), len(data.test[0])) == (9, 4, 5)
    assert sorted(data.train[0] + data.val[0]) == sorted(map(str, photo_root.glob("train/*/*")))
    for files, labels in (data.train, data.val, data.test_split()):
        assert [int("n02_" in str(file)) for file in files] == labels.tolist()
    assert [sum(len(labels) for _, labels in split) for split in data.val_dataloader()] == [5, 4]
    every = photos(photo_root, small)
    every.setup("fit")
    assert not torch.equal(data.mean, every.mean)


def test_photographs_that_were_skipped_are_counted(
    photo_root: Path, small: Photographs, cut_off: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train/n01/n01_1.JPEG", "val/n01/n01_1.JPEG"):
        cut_off(photo_root / name)
    with pytest.raises(InputError, match=r"n01_1.JPEG: not an image"):
        photos(photo_root, small).prepare_data()
    data = photos(photo_root, replace(small, damaged="skip"))
    data.prepare_data()
    data.setup("fit")
    stream = batches(data)
    assert [len(next(stream)[1]) for _ in range(6)] == [6] * 6
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 4
    assert len(data.damaged_files) == 2
    assert capsys.readouterr().err.count("skipped: ") == 2


def test_a_trainer_that_resumes_gets_the_photographs_it_would_have_had(
    photo_root: Path, small: Photographs, tmp_path: Path
) -> None:
    def fit(max_steps: int, workers: int, **resume: Path) -> tuple[Recorder, Trainer]:
        seed_everything(3, verbose=False)
        trainer = Trainer(
            accelerator="cpu", max_steps=max_steps, val_check_interval=2, check_val_every_n_epoch=None,
            num_sanity_val_steps=0, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        net = Recorder()
        trainer.fit(net, photos(photo_root, replace(small, workers=workers), val_size=3), **resume)
        return net, trainer

    others = set(multiprocessing.active_children())  # of a test before that broke a training off
    whole, _ = fit(5, workers=0)
    first, trainer = fit(2, workers=2)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second, _ = fit(5, workers=1, ckpt_path=tmp_path / "last.ckpt")
    assert whole.evaluated == [10, 6]
    assert len(first.trained) == 2
    for a, b in zip(whole.trained, first.trained + second.trained, strict=True):
        assert torch.equal(a, b)
    assert set(multiprocessing.active_children()) <= others  # the workers ended with the training


def test_folder_is_decoded_by_prepare_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ImageData(source="folder", root=str(root), batch_size=4)
    data.prepare_data()
    monkeypatch.delattr(folder, "read_image")  # setup finds the cache
    data.setup("fit")
    images, _ = next(batches(data))
    assert images.shape == (4, 3, 12, 12)
