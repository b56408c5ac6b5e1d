import time
from collections.abc import Sequence
from dataclasses import replace
from math import isclose

import numpy as np
import pytest
from oracles import devkit
from scenes import annotations, found, image, scene

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.errors import InputError
from lit_resnet.evaluation.detection import JUDGES, PROTOCOLS, RECALLS, Judgement

A, B, C, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (80, 80, 90, 90)
BOTH = pytest.mark.parametrize("protocol", ["voc07", "voc10"])


def ap(protocol: str, true: Annotations, guesses: Sequence[Found], name: str = "cat") -> float | None:
    return PROTOCOLS[protocol](true, guesses).ap[name]


@BOTH
def test_one_of_two_objects_is_found(protocol: str):
    # 11 points: recall reaches 0, 0.1, ... 0.5 with precision 1.
    expected = {"voc07": 100 * 6 / 11, "voc10": 50}[protocol]
    assert ap(protocol, annotations(image([A, B])), [found([A], [0.9])]) == pytest.approx(expected, abs=1e-12)


@BOTH
def test_an_object_that_is_found_again_makes_a_false_positive(protocol: str):
    true = annotations(image([A, B]))
    twice = [found([A, A, B], [0.9, 0.8, 0.7])]
    # 11 points: precision 1 up to recall 0.5, and 2/3 above.
    expected = {"voc07": 100 * (6 + 5 * 2 / 3) / 11, "voc10": 100 * (1 / 2 + 1 / 2 * 2 / 3)}[protocol]
    assert ap(protocol, true, twice) == pytest.approx(expected, abs=1e-12)
    # Not so where the second one is of another class, or in another image with such an object.
    assert ap(protocol, true, [found([A, A, B], [0.9, 0.8, 0.7], [0, 1, 0])]) == 100


@BOTH
def test_what_finds_a_difficult_object_counts_neither_way_however_often(protocol: str):
    true = annotations(image([A, B], ignored=[True, False]))
    for hits in (0, 1, 2):
        assert ap(protocol, true, [found([*[A] * hits, B], [*[0.9] * hits, 0.5])]) == 100
    assert ap(protocol, true, [found([FAR, B], [0.9, 0.5])]) < 100


@BOTH
def test_a_box_takes_the_object_that_it_overlaps_most_even_if_that_is_difficult(protocol: str):
    # The box covers the difficult object by 2/3 and the other by more than a half.
    true = annotations(image([(0, 0, 20, 10), (0, 0, 30, 10), FAR], ignored=[False, True, False]))
    assert ap(protocol, true, [found([(0, 0, 25, 10), FAR], [0.9, 0.8])]) == pytest.approx(
        {"voc07": 100 * 6 / 11, "voc10": 50}[protocol], abs=1e-12
    )


@BOTH
@pytest.mark.parametrize(("right", "expected"), [(20, 100), (21, 0)])
def test_an_iou_of_exactly_a_half_is_enough(protocol: str, right: int, expected: int):
    assert ap(protocol, annotations(image([A])), [found([(0, 0, right, 10)], [0.9])]) == expected


@BOTH
def test_a_class_without_objects_has_no_ap_and_is_left_out_of_the_mean(protocol: str):
    true = annotations(image([A, B, C], labels=[0, 1, 1], ignored=[False, False, True]), image([], name="2"))
    judged = PROTOCOLS[protocol](true, [found([A, FAR], [0.9, 0.8], [0, 2]), found([], [])])
    assert judged.ap == {"cat": 100, "dog": 0, "cow": None}
    assert judged.map50 == 50
    assert judged.map is None
    assert judged.precision["cow"] is None


def test_eleven_points_and_the_area_differ_on_a_curve_of_three_points():
    true = annotations(image([A, B, C]))
    guesses = [found([A, FAR, B, FAR, C], [0.9, 0.8, 0.7, 0.6, 0.5])]
    # Precision 1, 2/3 and 3/5 at recalls 1/3, 2/3 and 1.
    assert ap("voc07", true, guesses) == pytest.approx(100 * (4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11, abs=1e-12)
    assert ap("voc10", true, guesses) == pytest.approx(100 * (1 + 2 / 3 + 3 / 5) / 3, abs=1e-12)
    precision = PROTOCOLS["voc10"](true, guesses).precision["cat"]
    assert precision == pytest.approx(np.select([RECALLS <= 1 / 3, RECALLS <= 2 / 3], [100, 200 / 3], 60))


def test_a_recall_of_three_tenths_does_not_reach_the_point_0_3_as_in_matlab():
    places = [(10 * i, 0, 10 * i + 10, 10) for i in range(10)]
    assert ap("voc07", annotations(image(places)), [found(places[:3], [0.9, 0.8, 0.7])]) == pytest.approx(100 * 3 / 11)
    assert ap("voc07", annotations(image(places)), [found(places[:6], [0.9] * 6)]) == pytest.approx(100 * 7 / 11)


@pytest.mark.parametrize("seed", range(12))
def test_random_scenes_are_judged_as_by_the_development_kit(seed: int):
    true, guesses = scene(seed)
    for protocol in ("voc07", "voc10"):
        judged = PROTOCOLS[protocol](true, guesses)
        each = [devkit(true, guesses, label, protocol) for label in range(3)]
        assert list(judged.ap.values()) == pytest.approx(each, abs=1e-10)
        assert judged.map50 == pytest.approx(np.mean(each), abs=1e-10)
    over_ious = JUDGES["voc"](true, guesses)
    every = [[devkit(true, guesses, k, "voc10", iou) for k in range(3)] for iou in np.linspace(0.5, 0.95, 10)]
    assert over_ious.map == pytest.approx(np.mean(every), abs=1e-10)
    assert (over_ious.map50, over_ious.ap) == (judged.map50, judged.ap)


def test_a_net_that_diverged_finds_nothing():
    true = annotations(image([A]))
    judged = PROTOCOLS["voc10"](true, [found([A, (0, 0, np.nan, 9), A], [np.nan, 0.8, np.inf])])
    assert judged.map50 == 0


@BOTH
def test_truth_that_is_unknown_or_empty_is_one_line(protocol: str):
    with pytest.raises(InputError, match=r"1\.jpg: the objects of these images are not public.*--submission"):
        PROTOCOLS[protocol](replace(annotations(image([])), truth=False), [found([], [])])
    with pytest.raises(InputError, match=r"1\.jpg: neither this image nor the others have an object that counts"):
        PROTOCOLS[protocol](annotations(image([A], ignored=[True])), [found([], [])])


def test_a_fifth_of_voc_2007_s_test_images_takes_seconds():
    true, guesses = scene(0, images=1000)
    rng = np.random.default_rng(1)
    many = [
        Found(
            np.concatenate([one.boxes, np.tile((0, 0, 9, 9), (100 - len(one.scores), 1))]).astype(np.float32),
            np.concatenate([one.labels, rng.integers(0, 3, 100 - len(one.scores))]),
            np.concatenate([one.scores, np.zeros(100 - len(one.scores), np.float32)]),
        )
        for one in guesses
    ]
    start = time.process_time()
    judged: Judgement = JUDGES["voc"](true, many)
    assert time.process_time() - start < 4
    assert judged.map is not None
    assert isclose(judged.map50, JUDGES["voc"](true, guesses).map50, abs_tol=1)
