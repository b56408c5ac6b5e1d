import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.datasets import imagenet

from lit_resnet.data import layout
from lit_resnet.data.layout import VAL_THEN_TEST
from lit_resnet.errors import InputError

WNIDS = ["n02", "n01", "n01", "n02", "n01"]  # of the five validation images in the order of their numbers


@pytest.fixture
def flat(photo_root: Path) -> Path:
    """The photographs, those for validation in one folder with their official names."""
    val = photo_root / "val"
    files = sorted(val.glob("*/*"))
    wanted = sorted(range(5), key=lambda i: WNIDS[i])  # so that each gets the class that it had
    for number, file in zip(wanted, files, strict=True):
        file.rename(val / f"ILSVRC2012_val_{number + 1:08d}.JPEG")
    for name in ("n01", "n02"):
        (val / name).rmdir()
    return photo_root


def write_meta(root: Path, wnids: list[str] = WNIDS) -> None:
    torch.save(({"n01": ("tench",), "n02": ("shark",)}, wnids), root / "meta.bin")


def write_kaggle(root: Path, wnids: list[str] = WNIDS) -> None:
    lines = [f"ILSVRC2012_val_{i:08d},{wnid} 1 2 3 4 {wnid} 5 6 7 8 \n" for i, wnid in enumerate(wnids, start=1)]
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(reversed(lines)))


def test_by_class(photo_root: Path) -> None:
    assert layout.class_names(photo_root, VAL_THEN_TEST) == ["n01", "n02"]
    files, labels = layout.training_images(photo_root, VAL_THEN_TEST)
    assert files == sorted(str(path) for path in photo_root.glob("train/*/*"))
    assert labels.tolist() == [0] * 7 + [1] * 6
    assert layout.test_images(photo_root, VAL_THEN_TEST)[1].tolist() == [0, 0, 0, 1, 1]


def test_the_first_name_of_the_test_folder_is_taken(photo_root: Path) -> None:
    shutil.copytree(photo_root / "val", photo_root / "test")
    assert "/val/" in layout.test_images(photo_root, ("val", "test"))[0][0]
    assert "/test/" in layout.test_images(photo_root, ("test", "val"))[0][0]


def test_other_files_are_ignored(photo_root: Path) -> None:
    for name in (".hidden.JPEG", "notes.txt"):
        (photo_root / "train" / "n01" / name).write_text("no image")
    (photo_root / "train" / ".cache").mkdir()
    (photo_root / "val" / "readme.txt").write_text("no class")
    assert len(layout.training_images(photo_root, VAL_THEN_TEST)[0]) == 13
    assert len(layout.test_images(photo_root, VAL_THEN_TEST)[0]) == 5


@pytest.mark.parametrize("write", [write_meta, write_kaggle])
def test_flat_validation_images(flat: Path, write: Callable[[Path], None]) -> None:
    write(flat)
    files, labels = layout.test_images(flat, VAL_THEN_TEST)
    # In the order of a folder for each class, so that predictions of all runs are in one order.
    assert [Path(file).name for file in files] == [f"ILSVRC2012_val_{i:08d}.JPEG" for i in (2, 3, 5, 1, 4)]
    assert labels.tolist() == [0, 0, 0, 1, 1]
    assert layout.class_names(flat, VAL_THEN_TEST) == ["n01", "n02"]


def test_meta_file_is_made_of_the_development_kit(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (flat / layout.DEVKIT).write_bytes(b"packed")
    with pytest.raises(InputError, match=f"{flat}/{layout.DEVKIT}: damaged: replace it"):
        layout.test_images(flat, VAL_THEN_TEST)
    monkeypatch.setattr(imagenet, "parse_devkit_archive", write_meta)
    assert layout.test_images(flat, VAL_THEN_TEST)[1].tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("write", [write_meta, write_kaggle])
@pytest.mark.parametrize(
    ("wnids", "message"),
    [
        (WNIDS[:4], "has the labels of 4 images, but {root}/val has 5: put them all there"),
        ([*WNIDS, "n01"], "has the labels of 6 images, but {root}/val has 5: put them all there"),
        ([*WNIDS[:4], "n03"], "has the class n03, but {root}/train has no such folder; did you mean n0"),
    ],
)
def test_labels_of_other_images(flat: Path, write: Callable, wnids: list[str], message: str) -> None:
    write(flat, wnids)
    with pytest.raises(InputError) as error:
        layout.test_images(flat, VAL_THEN_TEST)
    (file,) = (path for path in flat.iterdir() if path.is_file())
    assert str(error.value).startswith(f"{file}: {message.format(root=flat)}")


def test_images_of_other_names(flat: Path) -> None:
    write_meta(flat)
    (flat / "val" / "ILSVRC2012_val_00000005.JPEG").rename(flat / "val" / "holiday.JPEG")
    with pytest.raises(InputError, match="meta.bin: has no label of holiday: it belongs to other images"):
        layout.test_images(flat, VAL_THEN_TEST)


class Stranger:
    """What a file from elsewhere must not make."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("code of the file ran",)


@pytest.mark.parametrize("content", ["text", "half", "other", "code"])
def test_damaged_label_files(flat: Path, content: str) -> None:
    write_meta(flat)
    path = flat / "meta.bin"
    if content == "text":
        path.write_text("n01\n")
    elif content == "half":
        path.write_bytes(path.read_bytes()[:100])
    else:
        torch.save({"a": 1} if content == "other" else (Stranger(), []), path)
    with pytest.raises(InputError, match=f"{path}: damaged, or not torchvision's"):
        layout.test_images(flat, VAL_THEN_TEST)
    path.unlink()
    kaggle = flat / "LOC_val_solution.csv"
    kaggle.write_bytes(
        {"text": b"hello\n", "half": b"ImageId,PredictionString\nx,\n", "other": b"\xff"}.get(content, b"")
    )
    if content != "code":
        with pytest.raises(InputError, match=f"{kaggle}: damaged, or not Kaggle's"):
            layout.test_images(flat, VAL_THEN_TEST)


def test_labels_that_are_missing(flat: Path) -> None:
    with pytest.raises(
        InputError, match=f"{flat}/val: has no class folders.* put meta.bin, .* or LOC_val_solution.csv"
    ):
        layout.test_images(flat, VAL_THEN_TEST)


@pytest.mark.parametrize(("gone", "other"), [("val/n02", "train"), ("train/n01", "val")])
def test_classes_that_differ(photo_root: Path, gone: str, other: str) -> None:
    shutil.rmtree(photo_root / gone)
    message = f"{photo_root}/{gone}: no such folder, but {photo_root}/{other} has this class"
    for read in (layout.class_names, layout.training_images, layout.test_images):
        with pytest.raises(InputError, match=message):
            read(photo_root, VAL_THEN_TEST)


def test_imagenet_is_known_by_its_thousand_classes() -> None:
    names = [f"n{i:08d}" for i in range(1000)]
    assert layout.is_imagenet(names)
    assert not layout.is_imagenet(names[:-1])
    assert not layout.is_imagenet([*names[:-1], "other"])
