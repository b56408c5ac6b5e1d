import json
from dataclasses import replace
from pathlib import Path

import pytest
from oracles import devkit, pycocotools
from scenes import annotations, found, image, scene

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.errors import InputError
from lit_resnet.evaluation.detection import PROTOCOLS, submission


def without_truth(true: Annotations) -> Annotations:
    """The same images, of whose objects nothing is known."""
    return Annotations(tuple(image([], name=one.name) for one in true.images), true.classes, true.categories, (), False)


def test_voc_takes_a_file_a_class_with_coordinates_from_1_that_hold_the_last_pixel(tmp_path: Path):
    true = annotations(image([], name="2008_000001"), image([], name="2008_000004"), classes=("cat", "dog"))
    guesses = [found([(0, 10.25, 20, 30)], [0.75]), found([(1, 2, 3, 4), (0, 0, 100, 100)], [0.5, 1e-5], [1, 1])]
    paths = submission(replace(true, truth=False), guesses, tmp_path / "new" / "voc", "voc")
    assert [path.name for path in paths] == ["comp4_det_test_cat.txt", "comp4_det_test_dog.txt"]
    assert paths[0].read_text() == "2008_000001 0.75 1 11.25 20 30\n"
    assert paths[1].read_text().splitlines()[0] == "2008_000004 0.5 2 3 3 4"


def test_what_vocs_server_reads_gives_our_own_numbers(tmp_path: Path):
    true, guesses = scene(3)
    number = {one.name: i for i, one in enumerate(true.images)}
    for label, path in enumerate(submission(without_truth(true), guesses, tmp_path, "voc")):
        rows: list[list[tuple[float, list[float]]]] = [[] for _ in guesses]
        for line in path.read_text().splitlines():
            name, score, x1, y1, x2, y2 = line.split()
            rows[number[name]].append((float(score), [float(x1) - 1, float(y1) - 1, float(x2), float(y2)]))
        read = [found([box for _, box in one], [score for score, _ in one], [label] * len(one)) for one in rows]
        ours = PROTOCOLS["voc07"](true, guesses).ap[true.classes[label]]
        assert devkit(true, read, label, "voc07") == pytest.approx(ours, abs=1e-10)


def test_coco_takes_a_list_of_results_with_its_own_numbers_of_images_and_classes(tmp_path: Path):
    true, guesses = scene(4)
    (path,) = submission(without_truth(true), guesses, tmp_path, "coco")
    results = json.loads(path.read_text())
    assert set(results[0]) == {"image_id", "category_id", "bbox", "score"}
    back = {one.name: i for i, one in enumerate(true.images)}
    rows: list[list[dict]] = [[] for _ in guesses]
    for one in results:
        rows[back[str(one["image_id"])]].append(one)
    read: list[Found] = []
    for of_image in rows:
        corners = [(x, y, x + w, y + h) for x, y, w, h in (one["bbox"] for one in of_image)]
        labels = [true.categories.index(one["category_id"]) for one in of_image]
        read.append(found(corners, [one["score"] for one in of_image], labels))
    ours = PROTOCOLS["coco"](true, guesses).map
    assert 100 * pycocotools(true, read).stats[0] == pytest.approx(ours, abs=1e-12)


@pytest.mark.parametrize(
    ("judged", "true", "words"),
    [
        ("coco", annotations(image([], name="2008_000001")), r"COCO's images have numbers"),
        ("voc", annotations(image([]), classes=("../cat",)), r"class ../cat: no name for a file"),
    ],
)
def test_names_that_a_server_cannot_have_given_are_one_line(judged: str, true: Annotations, words: str, tmp_path: Path):
    with pytest.raises(InputError, match=words):
        submission(true, [found([], [])], tmp_path, judged)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/new: cannot be written"):
        submission(annotations(image([])), [found([], [])], tmp_path / "file" / "new", "voc")
