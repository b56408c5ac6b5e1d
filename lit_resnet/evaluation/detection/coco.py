"""COCO's average precision, by faster-coco-eval: the numbers of COCO's own pycocotools, several times faster.

They are the same to all digits but one: where only the surest detection is right so far, pycocotools has a precision of
1 - 2e-16, as it adds the least number that it can to what it divides by.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.errors import InputError
from lit_resnet.evaluation.detection.rows import Detections, Truth, detections_of, truth_of

RANGES = ("all", "small", "medium", "large")  # of the objects' areas
NONE = -1  # the precision of a class that has no object


def precisions(annotations: Annotations, found: Sequence[Found]) -> np.ndarray:
    """Precision by IoU (0.5, 0.55, ... 0.95), recall (0, 0.01, ... 1), class and `RANGES`: float64 [10, 101, K, 4].

    Of each image the 100 surest detections of a class count. It is -1 for a class without objects of that size.

    Raises:
        InputError: faster-coco-eval is not installed, the objects of the images are not known, or there is none that
            counts.
    """
    truth, rows = truth_of(annotations), detections_of(annotations.images, found)
    # One class at a time: for all of COCO's at once, the objects that the library wants take gigabytes.
    each = [_of_class(truth, rows, label) for label in range(len(annotations.classes))]
    return np.stack(each, axis=2)


def check_installed() -> None:
    """Refuse to go on without the library.

    Raises:
        InputError: It is not installed.
    """
    try:
        import faster_coco_eval  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "COCO's average precision needs the package faster-coco-eval: pip install 'lit-resnet[detection]', or "
            "uv sync --extra detection"
        ) from None


def _of_class(truth: Truth, rows: Detections, label: int) -> np.ndarray:
    """Precision of one class: [10, 101, 4]."""
    check_installed()
    from faster_coco_eval import COCO, COCOeval_faster

    objects, guesses = list(_objects(truth, label)), list(_guesses(rows, label))
    images = [{"id": number} for number in sorted({one["image_id"] for one in (*objects, *guesses)})]
    categories = [{"id": label, "name": ""}]
    if not objects:
        return np.full((10, 101, len(RANGES)), float(NONE))
    sides = []
    for annotations in (objects, guesses):
        side = COCO(print_function=_silent)
        side.dataset = {"images": images, "categories": categories, "annotations": annotations}
        side.createIndex()
        sides.append(side)
    evaluation = COCOeval_faster(*sides, iouType="bbox", print_function=_silent)
    evaluation.evaluate()
    evaluation.accumulate()
    assert tuple(evaluation.params.areaRngLbl) == RANGES
    return np.asarray(evaluation.eval["precision"])[:, :, 0, :, -1]


def _silent(*words: object) -> None:
    """For what the library prints."""


def _objects(truth: Truth, label: int) -> Iterator[dict[str, Any]]:
    for i in np.flatnonzero(truth.labels == label).tolist():
        crowd, area = int(truth.ignored[i]), float(truth.areas[i])
        yield _common(i, label, truth.images[i], truth.boxes[i]) | {"iscrowd": crowd, "area": area}


def _guesses(rows: Detections, label: int) -> Iterator[dict[str, Any]]:
    for i in np.flatnonzero(rows.labels == label).tolist():
        one = _common(i, label, rows.images[i], rows.boxes[i])
        yield one | {"iscrowd": 0, "area": one["bbox"][2] * one["bbox"][3], "score": float(rows.scores[i])}


def _common(i: int, label: int, image: int, box: np.ndarray) -> dict[str, Any]:
    x1, y1, x2, y2 = box.tolist()
    bbox = [x1, y1, x2 - x1, y2 - y1]
    # Ids from 1, as the library takes a match with 0 for none.
    return {"id": i + 1, "image_id": int(image), "category_id": label, "bbox": bbox}
