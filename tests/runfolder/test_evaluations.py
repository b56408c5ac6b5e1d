"""evaluation.json: each task says which numbers an entry has."""

import json
from pathlib import Path
from typing import Any

import pytest

from lit_resnet.errors import InputError
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import CLASSIFICATION, DETECTION

VOC = {"map50": 73, "map": None, "ap": {"bird": 80.5, "boat": None}, "images": 4952, "data": "VOC 07+12"}


def evaluations(folder: Path, task: Any, **entries: Any) -> dict[str, Any]:
    run = RunFolder(folder)
    run.evaluation_file.write_text(json.dumps(entries))
    return run.evaluations(task)


def test_an_entry_has_the_judged_metrics_of_its_task(tmp_path: Path):
    found = evaluations(tmp_path, DETECTION, voc07=VOC, coco=VOC | {"map": 40.5})
    assert found["voc07"] == VOC
    assert type(found["voc07"]["map50"]) is float
    assert (found["voc07"]["map"], found["coco"]["map"]) == (None, 40.5)
    crops = {"top1_error": 25.5, "top5_error": None, "images": 50}
    assert evaluations(tmp_path, CLASSIFICATION, center=crops) == {"center": crops}
    with pytest.raises(InputError, match=r"damaged \(top1_error is None\)"):
        evaluations(tmp_path, CLASSIFICATION, voc07=VOC)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"map50": None}, "map50 is None"),
        ({"map50": 101}, "map50 is 101"),
        ({"map": True}, "map is True"),
        ({"ap": [80.5]}, r"ap is \[80.5\]"),
        ({"ap": {"bird": "80"}}, "ap.bird is '80'"),
        ({"ap": {"a\nbird": -1}}, r"ap.a\\nbird is -1"),
    ],
)
def test_a_wrong_number_is_one_line(tmp_path: Path, wrong: dict[str, Any], words: str):
    with pytest.raises(InputError, match=rf"evaluation\.json: damaged \({words}\)"):
        evaluations(tmp_path, DETECTION, voc07=VOC | wrong)


def test_a_protocol_may_be_followed_by_a_view():
    assert DETECTION.knows("coco")
    assert DETECTION.knows("coco+refined+multi-scale")
    assert not DETECTION.knows("refined+coco")
    assert not CLASSIFICATION.knows("coco")
