import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scenes import write_image

from lit_resnet.data.boxes.checks import check_images, check_sets, digest
from lit_resnet.data.boxes.module import BoxData
from lit_resnet.data.boxes.sources import SOURCES
from lit_resnet.data.boxes.voc import CLASSES
from lit_resnet.errors import InputError

VOC = SOURCES["voc"]
Object = tuple[str, tuple[object, object, object, object]]


def write_set(root: Path, name: str, images: Sequence[str]) -> None:
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f"{name}.txt").write_text("".join(f"{image}\n" for image in images))


def write_xml(root: Path, name: str, text: str) -> Path:
    path = root / "Annotations" / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def described(
    objects: Sequence[Object] = (), size: str = "<width>20</width><height>12</height>", more: str = ""
) -> str:
    """The text of an XML file; `more` stands in each object."""
    parts = []
    for name, sides in objects:
        box = "".join(
            f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)
        )
        parts.append(f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>")
    return f"<annotation><size>{size}</size>{''.join(parts)}</annotation>"


def add(root: Path, name: str, objects: Sequence[Object] = (), more: str = "") -> None:
    write_image(root / "JPEGImages" / f"{name}.jpg")
    write_xml(root, name, described(objects, more=more))


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A folder without years: two images to train on, and one to test on that has a class of its own."""
    root = tmp_path / "cells"
    add(root, "a", [("white", (1, 1, 20, 12)), ("red", (3, 4, 3, 9))])
    add(root, "b")
    add(root, "c", [("red", (2, 2, 5, 5)), ("blue", (6, 6, 9, 9))])
    write_set(root, "trainval", ["a", "b"])
    write_set(root, "test", ["c"])
    return root


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """A VOCdevkit of two years; 2012's test images have no annotations."""
    root = tmp_path / "VOCdevkit"
    for year, name, image in (
        ("2007", "trainval", "000005"),
        ("2007", "test", "000001"),
        ("2012", "trainval", "2008_2"),
    ):
        add(root / f"VOC{year}", image, [("dog", (1, 1, 5, 5)), ("cat", (2, 2, 9, 9))], "<difficult>1</difficult>")
        write_set(root / f"VOC{year}", name, [image])
    write_image(root / "VOC2012" / "JPEGImages" / "2008_1.jpg", (31, 17))
    write_set(root / "VOC2012", "test", ["2008_1"])
    return root


def refused(root: Path, sets: Sequence[str], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        VOC.read(root, sets)
    assert "\n" not in str(error.value)


def test_boxes_hold_their_first_pixel_and_coordinates_begin_at_0(cells: Path):
    annotations = VOC.read(cells, ["trainval"])
    assert annotations.classes == ("red", "white")
    assert annotations.categories == (1, 2)
    assert annotations.degenerate == ()
    assert annotations.truth
    first, second = annotations.images
    assert (first.name, first.file, first.height, first.width) == ("a", str(cells / "JPEGImages" / "a.jpg"), 12, 20)
    assert first.boxes.tolist() == [[0, 0, 20, 12], [2, 3, 3, 9]]
    assert first.labels.tolist() == [1, 0]
    assert first.areas.tolist() == [240, 6]
    assert (second.boxes.shape, second.labels.shape, second.areas.shape) == ((0, 4), (0,), (0,))
    assert [values.dtype for values in (second.boxes, second.labels, second.ignored)] == [float, np.int64, bool]


def test_a_class_that_only_test_images_have_has_a_label_too(cells: Path):
    classes = VOC.classes(cells, ["trainval", "test"])
    assert classes == ("blue", "red", "white")
    assert VOC.read(cells, ["trainval"], classes).images[0].labels.tolist() == [2, 1]
    assert VOC.read(cells, ["test"], classes).images[0].labels.tolist() == [1, 0]
    with pytest.raises(InputError, match=r"cells: set test has objects of class blue, which is none of the 2 classes"):
        VOC.read(cells, ["test"], ["red", "white"])


def test_the_20_classes_of_voc_have_its_own_order_whichever_occur(devkit: Path):
    annotations = VOC.read(devkit, ["2007/trainval", "2012/trainval"])
    assert annotations.classes == CLASSES == tuple(sorted(CLASSES))
    assert [image.name for image in annotations.images] == ["000005", "2008_2"]
    assert annotations.images[0].labels.tolist() == [CLASSES.index("dog"), CLASSES.index("cat")]
    assert annotations.images[0].ignored.all()


def test_what_has_a_year_has_vocs_classes(devkit: Path):
    """Others would be set beside the paper's numbers, with labels in another order."""
    add(devkit / "VOC2007", "000005", [("persn", (1, 1, 20, 12))])
    (devkit / "VOC2007" / "ImageSets" / "Main" / "trainval.txt").touch()
    with pytest.raises(InputError) as error:
        BoxData("voc", str(devkit), ["2007/trainval", "2012/trainval"], ["2007/test"])
    assert str(error.value) == (
        f"{devkit}/VOC2007/Annotations/000005.xml: has an object of class persn, which is none of PASCAL VOC's 20; did "
        f"you mean person?; for data of your own write root {devkit}/VOC2007, and its sets without a year"
    )
    own = VOC.read(devkit / "VOC2007", ["trainval"])
    assert own.classes == ("persn",)


def test_boxes_that_are_public_must_be_there(devkit: Path):
    write_set(devkit / "VOC2007", "test", ["000009"])
    write_image(devkit / "VOC2007" / "JPEGImages" / "000009.jpg")
    with pytest.raises(InputError, match="VOC2007/Annotations: no file of set 2007/test, whose boxes are public"):
        VOC.read(devkit, ["2007/test"])


def test_images_whose_objects_are_not_public_have_a_size(devkit: Path):
    annotations = VOC.read(devkit, ["2012/test"])
    assert not annotations.truth
    (image,) = annotations.images
    assert (image.height, image.width, len(image.boxes)) == (17, 31, 0)
    assert annotations.classes == CLASSES
    refused(devkit, ["2007/test", "2012/test"], "2007/test has annotations, and 2012/test has none")
    with pytest.raises(InputError, match="an image to train on, without annotations"):
        check_images(annotations, VOC.read(devkit, ["2007/test"]))
    (devkit / "VOC2012" / "JPEGImages" / "2008_1.jpg").write_text("no image")
    os.utime(devkit / "VOC2012" / "JPEGImages", (1, 1))
    refused(devkit, ["2012/test"], r"2008_1\.jpg: not an image, or a damaged one")


@pytest.mark.parametrize(
    ("train", "test", "name"),
    [
        (["2007/trainval", "2012/trainval"], ["2007/test"], "VOC 07+12"),
        (["2012/trainval", "2007/trainval", "2007/test"], ["2012/test"], "VOC 07++12"),
        (["2007/trainval"], ["2007/test"], "voc:VOCdevkit"),
        (["2007/trainval", "2012/trainval"], ["2012/val"], "voc:VOCdevkit"),
    ],
)
def test_the_papers_sets_have_the_papers_names(train: list[str], test: list[str], name: str):
    assert VOC.name(train, test, Path("data/VOCdevkit")) == name


def test_boxes_without_width_or_height_are_left_out_and_said(cells: Path):
    objects: list[Object] = [
        ("red", (5, 5, 4, 9)),  # no width
        ("red", (5, 9, 9, 2)),  # upside down
        ("red", (5, 5, 5, 5)),  # a click
        ("red", (21, 5, 21, 9)),  # the column of pixels after the last one
        ("white", (5, 5, 5, 6)),
    ]
    add(cells, "a", objects)
    os.utime(cells / "Annotations", (1, 1))
    annotations = VOC.read(cells, ["trainval"])
    path = cells / "Annotations" / "a.xml"
    assert annotations.degenerate == tuple(f"{path}: object {i} (red)" for i in (1, 2, 3, 4))
    assert annotations.images[0].boxes.tolist() == [[4, 4, 5, 6]]
    assert annotations.classes == ("white",)


def test_a_box_may_reach_over_the_border_by_a_pixel(cells: Path):
    add(cells, "a", [("red", (0, 0, 21, 13))])
    assert VOC.read(cells, ["trainval"]).images[0].boxes.tolist() == [[0, 0, 20, 12]]


MANY = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
BAD = {
    "outside": (described([("red", (5, 5, 22, 9))]), r"a\.xml, object 1: .* \[4, 4, 22, 9\] is outside .*20x12"),
    "huge": (described([("red", (5, 5, "1" * 500, 9))]), r"object 1: .* is outside its image"),
    "nan": (described([("red", (5, "nan", 6, 9))]), r"object 1: ymin is nan: write a number"),
    "infinite": (described([("red", (5, 5, "inf", 9))]), r"object 1: xmax is inf: write a number"),
    "words": (described([("red", (5, 5, "6\n7", 9))]), r"object 1: xmax is '6\\\\?n7': write a number"),
    "underscore": (described([("red", (5, 5, "1_0", 9))]), r"object 1: xmax is '1_0': write a number"),
    "no number": (described([("red", (5, "", 6, 9))]), r"object 1: ymin is missing: write a number"),
    "no box": (described([("red", (5, 5, 6, 9))]).replace("bndbox", "box"), r"object 1: has no bndbox"),
    "no class": (described([("", (5, 5, 6, 9))]), r"object 1: the class is called '': write a name"),
    "long class": (described([("x" * 200, (5, 5, 6, 9))]), r"object 1: the class is called"),
    "no size": (described(size=""), r"size/width is missing: write the image's width in pixels"),
    "size 0": (described(size="<width>20</width><height>0</height>"), r"size/height is '0': write"),
    "size": (described(size="<width>9999999</width><height>1</height>"), r"size/width is '9999999': write"),
    "difficult": (described([("red", (5, 5, 6, 9))], more="<difficult>x</difficult>"), r"difficult is x: write 0 or 1"),
    "not XML": ("<annotation>", r"a\.xml: not XML \(no element found"),
    "other XML": ("<svg/>", r"a\.xml: its outermost element is svg: VOC's files have <annotation>"),
    "entities": (MANY + described(), r"a\.xml: has a DOCTYPE"),
    "file": ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + described(), r"a\.xml: has a DOCTYPE"),
    "encoding": ('<?xml version="1.0" encoding="none-such"?>' + described(), r"a\.xml: "),
    "large": (described(more=" ") + " " * (4 << 20), r"a\.xml: is larger than 4 MiB"),
}


@pytest.mark.parametrize("which", BAD)
def test_what_no_annotation_should_have_is_one_line(which: str, cells: Path):
    text, words = BAD[which]
    write_xml(cells, "a", text)
    refused(cells, ["trainval"], words)


def test_deep_nesting_is_no_danger(cells: Path):
    write_xml(cells, "a", described().replace("</annotation>", "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>"))
    assert len(VOC.read(cells, ["trainval"]).images) == 2


def test_what_is_missing_is_one_line(cells: Path, devkit: Path):
    refused(cells, ["trainva"], r"ImageSets/Main/trainva\.txt: no such file, .*did you mean trainval\?")
    refused(cells, ["2007/trainval"], r"VOC2007/ImageSets/Main/trainval\.txt: no such file")
    refused(devkit, ["2007/tests"], r"did you mean 2007/test\?")
    refused(devkit, ["zzz"], r"no such file, the list of set zzz; there are 2007/test, 2007/trainval, 2012/test")
    refused(cells / "JPEGImages", ["test"], r"JPEGImages: has no sets .*give as root a VOCdevkit")
    refused(cells, ["../test"], r"'?\.\./test'? is no name of a set: write 2007/trainval, or trainval")
    (cells / "Annotations" / "b.xml").unlink()
    refused(cells, ["trainval"], r"Annotations/b\.xml: no such file, but .*trainval\.txt names it$")
    (cells / "JPEGImages" / "a.jpg").unlink()
    refused(cells, ["trainval"], r"JPEGImages/a\.jpg: .*trainval\.txt names it, and there is no image of that name")
    write_image(cells / "JPEGImages" / "a.png")
    write_image(cells / "JPEGImages" / "a.jpeg")
    refused(cells, ["trainval"], r"there is more than one file \(a\.jpeg, a\.png\) of that name")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"trainval\.txt: names no image"),
        ("a\na\n", r"trainval\.txt: names a twice"),
        ("a\nb  -1\n", r"trainval\.txt, line 2: is 'b  -1': write one name a line"),
        ("../../etc/passwd\n", r"line 1: the file is called .*: write the name of a file in the images' folder"),
        ("/etc/passwd\n", r"line 1: the file is called /etc/passwd"),
        ("deep/a\n", r"line 1: is deep/a: write the name of an image, without a folder"),
        ("a\x00\n", r"line 1: the file is called a\\x00"),
    ],
)
def test_a_list_of_anything_else_than_names_is_one_line(text: str, words: str, cells: Path):
    (cells / "ImageSets" / "Main" / "trainval.txt").write_text(text)
    refused(cells, ["trainval"], words)


def test_sets_that_share_an_image_are_one_line(cells: Path):
    write_set(cells, "train", ["b"])
    refused(cells, ["trainval", "train"], r"b\.jpg: is image b of the sets trainval, train: name sets that share none")
    with pytest.raises(InputError, match=r"trainval is in data\.train and in data\.test: name other sets to test on"):
        check_sets(["train", "trainval"], ["trainval"])
    with pytest.raises(InputError, match=r"data\.test is empty"):
        check_sets(["train"], [])
    check_sets(["train"], ["trainval"])
    write_set(cells, "val", ["a", "c"])
    with pytest.raises(InputError, match=r"a\.jpg: is in a set of data\.train and in one of data\.test: name sets"):
        check_images(VOC.read(cells, ["trainval"]), VOC.read(cells, ["val"]))
    check_images(VOC.read(cells, ["trainval"]), VOC.read(cells, ["test"]))
    with pytest.raises(InputError, match="the first image to train on, and all others have no object to learn"):
        check_images(VOC.read(cells, ["train"]), VOC.read(cells, ["test"]))
    with pytest.raises(InputError, match="the first image to test on, and all others have no object to find"):
        check_images(VOC.read(cells, ["test"]), VOC.read(cells, ["train"]))


def test_a_set_is_read_once(cells: Path):
    first = VOC.read(cells, ["trainval"])
    assert VOC.read(cells, ["trainval"]).images[0].boxes is first.images[0].boxes
    write_set(cells, "trainval", ["a"])
    os.utime(cells / "ImageSets" / "Main" / "trainval.txt", (1, 1))
    assert len(VOC.read(cells, ["trainval"]).images) == 1


def test_the_digest_is_of_files_and_of_truth(cells: Path):
    before = digest(VOC.read(cells, ["trainval"]))
    assert before == digest(VOC.read(cells, ["trainval"]))
    assert before != digest(VOC.read(cells, ["test"]))
    add(cells, "a", [("white", (1, 1, 20, 12)), ("red", (3, 4, 3, 10))])
    os.utime(cells / "Annotations", (1, 1))
    after = digest(VOC.read(cells, ["trainval"]))
    assert before != after
    with (cells / "JPEGImages" / "a.jpg").open("ab") as file:
        file.write(b"more")
    assert digest(VOC.read(cells, ["trainval"])) != after
    (cells / "JPEGImages" / "a.jpg").rename(cells / "JPEGImages" / "z.jpg")
    annotations = VOC.read(cells, ["test"])
    (cells / "JPEGImages" / "c.jpg").unlink()
    with pytest.raises(InputError, match=r"c\.jpg: cannot be read \(No such file"):
        digest(annotations)
