"""Archives of images: the same images, in the same order, as in the folder that they were made of."""

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from PIL import Image

from lit_resnet.data import archives, layout
from lit_resnet.data.layout import TEST_THEN_VAL, VAL_THEN_TEST, is_image
from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Damaged, Photographs, read_photograph
from lit_resnet.data.shrink import shrink
from lit_resnet.errors import InputError


def tar_of(folder: Path, target: Path, prefix: str = "") -> None:
    """A tar of the files below a folder, in an order that is not sorted."""
    with tarfile.open(target, "w") as tar:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file():
                tar.add(path, f"{prefix}{path.relative_to(folder)}")


def official(root: Path, target: Path) -> None:
    """ImageNet's archives as they are downloaded: a tar of a tar for each class, and a flat one."""
    target.mkdir()
    with tarfile.open(target / "ILSVRC2012_img_train.tar", "w") as tar:
        for folder in sorted((root / "train").iterdir(), reverse=True):
            tar_of(folder, target / "class.tar")
            tar.add(target / "class.tar", f"{folder.name}.tar")
    (target / "class.tar").unlink()
    number, lines = 0, ["ImageId,PredictionString"]
    with tarfile.open(target / "ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted((root / "val").rglob("*.JPEG")):
            number += 1
            tar.add(path, f"ILSVRC2012_val_{number:08d}.JPEG")
            lines.append(f"ILSVRC2012_val_{number:08d},{path.parent.name} 1 2 3 4")
    (target / "LOC_val_solution.csv").write_text("\n".join(lines))


def packed(root: Path, target: Path, how: str) -> Path:
    """The same images in archives, in a folder of the same name."""
    target = target / how / root.name
    target.parent.mkdir()
    if how == "official":
        official(root, target)
        return target
    target.mkdir()
    if how == "one tar":
        tar_of(root, target / "all.tar", "./ILSVRC/Data/CLS-LOC/")
    elif how == "a tar each":
        for split in ("train", "val"):
            tar_of(root / split, target / f"photos_{split}.tar")
    elif how == "the test images alone":
        shutil.copytree(root / "train", target / "train")
        tar_of(root / "val", target / "val.tar")
    elif how == "tars by shrink":
        shrink(root, target, short_side=1000, jobs=1, tars=4)
        assert len(list(target.glob("train-*.tar"))) == 4
    else:
        kind = {"zip": zipfile.ZIP_DEFLATED, "zip of stored": zipfile.ZIP_STORED}[how]
        with zipfile.ZipFile(target / "all.zip", "w", kind) as file:
            for path in sorted(root.rglob("*")):
                file.write(path, path.relative_to(root))
    return target


def batches(root: Path, small: Photographs) -> list[torch.Tensor]:
    seed_everything(0, verbose=False)
    data = ImageData(source="imagenet", root=str(root), photographs=small, batch_size=6)
    data.setup("fit")
    data.stretch = 1  # the endless stream of a run
    stream = iter(data.train_dataloader())
    found = [tensor for _ in range(4) for tensor in next(stream)]
    return [*found, *(tensor for batch in data.test_batches(torch.device("cpu")) for tensor in batch)]


WAYS = ("official", "one tar", "a tar each", "the test images alone", "tars by shrink", "zip", "zip of stored")


@pytest.mark.parametrize("how", WAYS)
def test_batches_digests_and_bytes_are_those_of_the_folder(
    how: str, photo_root: Path, small: Photographs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = packed(photo_root, tmp_path, how)
    for images in (layout.training_images, layout.test_images):
        (files, labels), (ours, same) = images(photo_root, VAL_THEN_TEST), images(root, VAL_THEN_TEST)
        assert torch.equal(labels, same)
        assert [archives.content(file) for file in files] == [archives.content(file) for file in ours]
        if how != "official" or images is layout.training_images:
            assert list(map(archives.entry, files)) == list(map(archives.entry, ours))
    monkeypatch.setattr(archives, "_made", None)  # the index is in the cache
    archives._images.cache_clear()
    for number, (a, b) in enumerate(zip(batches(photo_root, small), batches(root, small), strict=True)):
        assert torch.equal(a, b), number
    if how != "official":  # whose test images have other names
        whole, same = (ImageData(source="imagenet", root=str(one), photographs=small) for one in (photo_root, root))
        assert (whole.test_digest(), whole.name) == (same.test_digest(), same.name)


def test_small_images_too(root: Path, tmp_path: Path):
    (tmp_path / "packed").mkdir()
    for split in ("train", "test"):
        tar_of(root / split, tmp_path / "packed" / f"{split}.tar")
    for size in (None, 8):
        whole, same = (
            ImageData(source="folder", root=str(one), image_size=size) for one in (root, tmp_path / "packed")
        )
        assert whole.image_shape == same.image_shape
        for data in (whole, same):
            data.setup("fit")
        first, second = (next(iter(data.test_dataloader())) for data in (whole, same))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert layout.class_names(tmp_path / "packed", TEST_THEN_VAL) == ["cat", "dog"]
    (root / "other.zip").write_text("not looked into, beside folders")
    assert layout.class_names(root, VAL_THEN_TEST) == ["cat", "dog"]


def test_a_smaller_copy_of_archives_is_that_of_the_folder(photo_root: Path, tmp_path: Path):
    root = packed(photo_root, tmp_path, "zip")
    (photo_root / "other.zip").write_text("not looked into, beside folders")
    shrink(photo_root, tmp_path / "a", 24, jobs=1)
    shrink(root, tmp_path / "b", 24, jobs=2)
    shrink(root, tmp_path / "c", 24, jobs=2, tars=3)
    first = tmp_path / "c" / "train-000.tar"
    before = first.read_bytes()
    (tmp_path / "c" / "train-001.tar").unlink()
    shrink(root, tmp_path / "c", 24, jobs=1, tars=3)
    assert first.read_bytes() == before
    for split in (layout.training_images, layout.test_images):
        a, b, c = (split(tmp_path / name, VAL_THEN_TEST)[0] for name in "abc")
        assert [archives.content(file) for file in a] == [archives.content(file) for file in b]
        assert [archives.content(file) for file in a] == [archives.content(file) for file in c]


def test_an_archive_that_has_changed_is_indexed_anew(photo_root: Path, tmp_path: Path):
    root = packed(photo_root, tmp_path, "a tar each")
    before = layout.training_images(root, VAL_THEN_TEST)[0]
    shutil.copy(next((photo_root / "train" / "n02").iterdir()), photo_root / "train" / "n01" / "new.JPEG")
    tar_of(photo_root / "train", root / "photos_train.tar")
    assert len(layout.training_images(root, VAL_THEN_TEST)[0]) == len(before) + 1


def test_one_image_that_is_damaged_is_named(photo_root: Path, tmp_path: Path):
    root = packed(photo_root, tmp_path, "zip")
    file = layout.training_images(root, VAL_THEN_TEST)[0][3]
    one = archives.member(file)
    assert one
    with open(one.archive, "r+b") as archive:
        archive.seek(one.start)
        archive.write(bytes(one.packed or one.length))
    with pytest.raises(Damaged, match=r"all\.zip//train/n01/.*: not an image, or a damaged one"):
        read_photograph(file)


def cut(path: Path, by: int) -> None:
    os.truncate(path, path.stat().st_size - by)


def linked(path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("train/n01/a.JPEG")
        info.type, info.linkname = tarfile.SYMTYPE, "b.JPEG"
        tar.addfile(info)


def named(path: Path, name: str, kind: str = "tar") -> None:
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "JPEG")
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(image.getvalue())
        tar.addfile(info, io.BytesIO(image.getvalue()))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: cut(path, 10_240), r"\.tar: cut off or damaged"),  # the blocks at its end
        (lambda path: cut(path, path.stat().st_size // 2), r"cut off or damaged"),
        (lambda path: path.write_bytes(gzip.compress(path.read_bytes())), r"cut off or damaged, or no tar"),
        (lambda path: path.write_bytes(b""), r"cut off or damaged"),
        (linked, r"train/n01/a\.JPEG is a link, or sparse: make the tar with --dereference"),
        (lambda path: named(path, "n01/a\n.JPEG"), r"give it letters that can be printed"),
    ],
)
def test_a_damaged_archive_is_one_line(photo_root: Path, tmp_path: Path, damage, words: str):
    root = packed(photo_root, tmp_path, "official")
    damage(root / "ILSVRC2012_img_train.tar")
    with pytest.raises(InputError, match=f"ILSVRC2012_img_train.*{words}"):
        layout.class_names(root, VAL_THEN_TEST)


def test_what_else_is_refused(photo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "odd"
    root.mkdir()
    named(root / "images.tar", "n01/a.JPEG")
    with pytest.raises(InputError, match=r"images\.tar: neither its name nor a folder in it says train, val or test"):
        archives.images(root, is_image)
    (root / "images.tar").rename(root / "images.zip")
    with pytest.raises(InputError, match=r"images\.zip: cut off or damaged"):
        archives.images(root, is_image)
    monkeypatch.setattr(archives, "MOST_ARCHIVES", 0)
    with pytest.raises(InputError, match="has 1 archives: make it 0 or fewer"):
        archives.images(root, is_image)
    monkeypatch.undo()
    (root / "images.zip").rename(root / "train.tar")
    with pytest.raises(InputError, match=r"has neither val/ nor test/: .*, or in val\.tar"):
        layout.class_names(root, VAL_THEN_TEST)


def test_a_class_that_is_called_like_a_split(tmp_path: Path):
    """It would be the split's folder, and its images would be of no class."""
    for split, names in (("train", ("bus/a.JPEG", "train/b.JPEG")), ("val", ("bus/a.JPEG",))):
        with tarfile.open(tmp_path / f"{split}.tar", "w") as tar:
            for name in names:
                tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(InputError, match=r"train\.tar//train/b\.JPEG: is in no class, and other images of train are"):
        layout.class_names(tmp_path, VAL_THEN_TEST)
