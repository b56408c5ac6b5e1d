import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from scenes import write_image

from lit_resnet.data.boxes import coco as reader
from lit_resnet.data.boxes.sources import SOURCES
from lit_resnet.errors import InputError

COCO = SOURCES["coco"]
Content = dict[str, Any]


def write(root: Path, name: str, content: Content | str, kind: str = "instances") -> Path:
    path = root / "annotations" / f"{kind}_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def content() -> Content:
    """Three images, of which the second has no objects, and two classes whose ids have gaps and no order."""
    return {
        "images": [
            {"id": 30, "file_name": "c.jpg", "height": 12, "width": 20},
            {"id": 7, "file_name": "a.jpg", "height": 12, "width": 20},
            {"id": 9, "file_name": "b.jpg", "height": 12, "width": 20},
        ],
        "annotations": [
            {"id": 1, "image_id": 30, "category_id": 90, "bbox": [1, 2, 3.5, 4], "area": 6.5, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 20, 12], "iscrowd": 1, "segmentation": {}},
            {"id": 3, "image_id": 30, "category_id": 3, "bbox": [5, 5, 5, 5], "area": 20},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}],
    }  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    for name in ("a", "b", "c"):
        write_image(root / "val2014" / f"{name}.jpg")
    write(root, "val2014", content())
    return root


def refused(root: Path, sets: Sequence[str], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        COCO.read(root, sets)
    assert "\n" not in str(error.value)


def test_boxes_labels_crowds_and_areas(root: Path):
    annotations = COCO.read(root, ["val2014"])
    assert annotations.classes == ("toothbrush", "car")
    assert annotations.categories == (90, 3)
    assert annotations.truth
    first, second, third = annotations.images
    assert [image.name for image in annotations.images] == ["7", "9", "30"]
    assert (first.file, first.height, first.width) == (str(root / "val2014" / "a.jpg"), 12, 20)
    assert (first.ignored.tolist(), first.labels.tolist(), first.areas.tolist()) == ([True], [1], [240])
    assert second.boxes.shape == (0, 4)
    assert third.boxes.tolist() == [[1, 2, 4.5, 6], [5, 5, 10, 10]]
    assert (third.labels.tolist(), third.areas.tolist()) == ([0, 1], [6.5, 20])
    assert not third.ignored.any()


def test_names(root: Path):
    assert COCO.name(["train2014"], ["val2014"], root) == "COCO 2014"
    assert COCO.name(["train2017"], ["val2017"], root) == "coco:coco"


def test_boxes_without_width_or_height_are_left_out_and_said(root: Path):
    bad = content()
    bad["annotations"][0]["bbox"] = [3, 3, 0, 5]
    bad["annotations"][1]["bbox"] = [30, 3, -5, 5]
    path = write(root, "val2014", bad)
    annotations = COCO.read(root, ["val2014"])
    words = ("annotations[0] (toothbrush) of image 30", "annotations[1] (car) of image 7")
    assert annotations.degenerate == tuple(f"{path}: {one}" for one in words)
    assert [len(image.boxes) for image in annotations.images] == [0, 0, 1]


def test_a_box_may_reach_over_the_border_by_a_pixel(root: Path):
    near = content()
    near["annotations"][1]["bbox"] = [-1, -0.5, 22, 13]
    write(root, "val2014", near)
    assert COCO.read(root, ["val2014"]).images[0].boxes.tolist() == [[0, 0, 20, 12]]


def test_test_sets_have_information_alone(root: Path):
    information = {key: value for key, value in content().items() if key != "annotations"}
    (root / "val2014").rename(root / "test2015")
    write(root, "test-dev2015", information, "image_info")
    annotations = COCO.read(root, ["test-dev2015"])
    assert not annotations.truth
    assert annotations.images[0].file == str(root / "test2015" / "a.jpg")
    assert annotations.classes == ("toothbrush", "car")


def changed(*keys: Any, value: Any = None, **values: Any) -> Callable[[Content], None]:
    """A change of one value of a content, or, without one, its removal."""

    def change(whole: Content) -> None:
        part: Any = whole
        for key in keys[:-1]:
            part = part[key]
        if values:
            part[keys[-1]].update(values)
        elif value is None:
            del part[keys[-1]]
        else:
            part[keys[-1]] = value

    return change


BBOX = r"annotations\[0\]: bbox is .*: write \[x, y, width, height\] in pixels"
BAD = {
    "no annotations": (changed("annotations"), r"instances_val2014\.json: annotations is missing: it must be a list"),
    "annotations": (changed("annotations", value={"a": 1}), r"annotations is \{'a': 1\}: it must be a list"),
    "no bbox": (changed("annotations", 0, "bbox"), BBOX),
    "three": (changed("annotations", 0, "bbox", value=[1, 2, 3]), BBOX),
    "text": (changed("annotations", 0, "bbox", value=[1, 2, 3, "4"]), BBOX),
    "bool": (changed("annotations", 0, "bbox", value=[1, 2, 3, True]), BBOX),
    "huge": (changed("annotations", 0, "bbox", value=[1, 2, 3, 10**400]), BBOX),
    "infinite": (changed("annotations", 0, "bbox", value=["1e999"]), BBOX),
    "outside": (changed("annotations", 0, "bbox", value=[1, 2, 30, 4]), r"annotations\[0\]: .* outside .* of 20x12"),
    "area": (changed("annotations", 0, area=-1), r"annotations\[0\]: area is -1: write square pixels"),
    "crowd": (changed("annotations", 0, iscrowd=2), r"annotations\[0\]: iscrowd is 2: write 0 or 1"),
    "image": (changed("annotations", 0, image_id=8), r"annotations\[0\]: image_id is 8, which none of its images has"),
    "list": (changed("annotations", 0, image_id=[]), r"annotations\[0\]: image_id is \[\], which"),
    "category": (changed("annotations", 0, category_id=1), r"annotations\[0\]: category_id is 1, which no category"),
    "twice": (changed("images", 1, id=30), r"images\[1\]: id 30 stands twice"),
    "id": (changed("images", 1, id="7"), r"images\[1\]: id is '7': write a whole number"),
    "bool id": (changed("images", 1, id=True), r"images\[1\]: id is True: write a whole number"),
    "large id": (changed("images", 1, id=10**30), r"images\[1\]: id is 1000"),
    "size": (changed("images", 1, height=0), r"images\[1\]: height is 0: write the image's height in pixels"),
    "no size": (changed("images", 1, "width"), r"images\[1\]: width is None: write"),
    "out": (changed("images", 1, file_name="../../etc/passwd"), r"images\[1\]: the file is called .*passwd"),
    "absolute": (changed("images", 1, file_name="/etc/passwd"), r"images\[1\]: the file is called /etc/passwd"),
    "windows": (changed("images", 1, file_name="..\\a.jpg"), r"images\[1\]: the file is called"),
    "half a letter": (changed("images", 1, file_name="\ud800.jpg"), r"images\[1\]: the file is called"),
    "no file": (changed("images", 1, file_name="z.jpg"), r"val2014/z\.jpg: no such file, but .* names it"),
    "no image": (changed("images", value=[]), r"images is empty"),
    "an image": (changed("images", 1, value=[5]), r"images\[1\]: is \[5\]: it must be an object"),
    "an annotation": (changed("annotations", 1, value=5), r"annotations\[1\]: is 5: it must be an object"),
    "no category": (changed("categories", value=[]), r"categories is empty"),
    "same category": (changed("categories", 1, name="toothbrush"), r"categories\[1\]: toothbrush or its id 3 stands"),
    "unnamed": (changed("categories", 1, name=""), r"categories\[1\]: the class is called ''"),
}


@pytest.mark.parametrize("which", BAD)
def test_what_no_file_of_instances_should_have_is_one_line(which: str, root: Path):
    change, words = BAD[which]
    bad = content()
    change(bad)
    write(root, "val2014", bad)
    refused(root, ["val2014"], words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(content()).replace("3.5", "NaN"), r"val2014\.json: has NaN, which is no number"),
        (json.dumps(content()).replace("3.5", "1e999"), BBOX),
        (json.dumps(content()).replace("3.5", "1" * 5000), r"val2014\.json: "),
        ("[" * 100_000, r"val2014\.json: is nested too deep"),
        ("{", r"val2014\.json: not JSON"),
        ("[]", r"val2014\.json: is no JSON object with images, annotations and categories"),
        ("", r"val2014\.json: not JSON"),
    ],
)
def test_other_text_is_one_line(text: str, words: str, root: Path):
    write(root, "val2014", text)
    refused(root, ["val2014"], words)


def test_what_is_missing_is_one_line(root: Path):
    refused(root, ["val2104"], r"annotations/instances_val2104\.json: no such file; did you mean val2014\?")
    refused(root, ["x"], r"instances_x\.json: no such file; there are val2014$")
    refused(root, ["../val2014"], r"is no name of a set: write one such as train2014")
    refused(root / "val2014", ["val2014"], r"val2014/annotations: has no instances_\*\.json: give as root")


def test_sets_with_other_categories_are_one_line(root: Path):
    write_image(root / "train2014" / "d.jpg", (1, 1))
    other = content() | {"images": [{"id": 1, "file_name": "d.jpg", "height": 1, "width": 1}], "annotations": []}
    other["categories"].reverse()
    write(root, "train2014", other)
    with pytest.raises(InputError, match=r"val2014\.json: has other categories than .*train2014\.json"):
        COCO.classes(root, ["train2014", "val2014"])
    with pytest.raises(InputError, match=r"its categories are not the classes asked for \(in another order\)"):
        COCO.read(root, ["val2014"], ["car", "toothbrush"])
    with pytest.raises(InputError, match=r"its categories are not the classes asked for \(bus\)"):
        COCO.read(root, ["val2014"], ["toothbrush", "car", "bus"])
    assert COCO.read(root, ["val2014"], ["toothbrush", "car"]).classes == ("toothbrush", "car")


def test_sets_that_share_an_image_are_one_line(root: Path):
    write_image(root / "mine" / "x.jpg")
    images = [{"id": 7, "file_name": "x.jpg", "height": 12, "width": 20}]
    write(root, "mine", content() | {"images": images, "annotations": []})
    refused(root, ["val2014", "mine"], r"x\.jpg: and .*a\.jpg are both image 7 of the sets val2014, mine")


def test_a_file_is_parsed_once(root: Path, monkeypatch: pytest.MonkeyPatch):
    first = COCO.read(root, ["val2014"])
    parse = reader._parse
    calls: list[Path] = []
    monkeypatch.setattr(reader, "_parse", lambda path: (calls.append(path), parse(path))[1])
    assert COCO.read(root, ["val2014"]).images == first.images
    assert COCO.classes(root, ["val2014"]) == first.classes
    assert not calls
    os.utime(root / "annotations" / "instances_val2014.json", (1, 1))
    COCO.read(root, ["val2014"])
    assert len(calls) == 1
