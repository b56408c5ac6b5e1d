import sys
from dataclasses import replace

import numpy as np
import pytest
from oracles import pycocotools
from scenes import annotations, found, image, scene

from lit_resnet.errors import InputError
from lit_resnet.evaluation.detection import JUDGES, PROTOCOLS, coco

EPS = 100 * 2**-51


@pytest.mark.parametrize("seed", range(6))
def test_random_scenes_with_crowds_give_cocos_own_numbers(seed: int, capfd: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(seed)
    true, guesses = scene(seed)
    outlines = [replace(one, areas=one.areas * rng.random(len(one.areas)) * 40) for one in true.images]
    true = replace(true, images=tuple(outlines), classes=(*true.classes, "eel"), categories=(*true.categories, 90))
    theirs = pycocotools(true, guesses)
    precision = theirs.eval["precision"][..., 2]
    ours = coco.precisions(true, guesses)
    # Equal but for its 1 - 2e-16, which is our 1.
    assert np.array_equal(ours[ours != 1], precision[ours != 1])
    assert np.abs(ours - precision).max() <= np.spacing(1)
    judged = PROTOCOLS["coco"](true, guesses)
    assert [judged.map, judged.map50] == pytest.approx(100 * theirs.stats[:2], abs=EPS)
    assert judged.ap["cat"] == pytest.approx(100 * precision[:, :, 0, 0].mean(), abs=EPS)
    assert judged.ap["eel"] is None
    assert judged.precision["cow"] == pytest.approx(100 * precision[0, :, 2, 0], abs=EPS)
    assert not any(capfd.readouterr())


def test_a_hundred_detections_of_an_image_and_class_count():
    box, far = (0, 0, 50, 50), (60, 60, 70, 70)
    true = annotations(image([box]))
    for before, expected in ((99, 1), (100, 0)):
        guesses = [found([far] * before + [box], [0.9] * before + [0.1])]
        assert PROTOCOLS["coco"](true, guesses).map50 == pytest.approx(expected)
        assert PROTOCOLS["coco"](true, guesses).map50 == pytest.approx(
            100 * pycocotools(true, guesses).stats[1], abs=EPS
        )


def test_what_lies_in_a_crowd_is_not_false():
    crowd, box = (0, 0, 50, 50), (60, 60, 90, 90)
    true = annotations(image([crowd, box], ignored=[True, False]), image([], name="2"))
    inside = [(5, 5, 10, 10), (20, 20, 30, 30), box]
    judged = JUDGES["coco"](true, [found(inside, [0.9, 0.8, 0.7]), found([], [])])
    assert judged.map50 == pytest.approx(100)
    assert judged.ap == {"cat": pytest.approx(100), "dog": None, "cow": None}


def test_nothing_found_is_0():
    assert PROTOCOLS["coco"](annotations(image([(0, 0, 50, 50)])), [found([], [])]).map == 0


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(InputError, match=r"faster-coco-eval: pip install 'lit-resnet\[detection\]'"):
        PROTOCOLS["coco"](annotations(image([(0, 0, 50, 50)])), [found([], [])])
    assert PROTOCOLS["voc10"](annotations(image([(0, 0, 50, 50)])), [found([], [])]).map50 == 0
