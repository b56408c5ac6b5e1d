"""Average precision as the development kit of PASCAL VOC has it (VOCevaldet.m, VOCap.m).

The kit adds 1 to every difference of coordinates, which hold the last pixel. In continuous coordinates, whose boxes
begin one pixel earlier, the same numbers come without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.evaluation.detection.rows import Detections, Truth, detections_of, truth_of

# 0, 0.1, ... 1 as MATLAB counts them, from both ends: 0.3 is 3 x 0.1 there, the next number above the decimal 0.3. So a
# recall of 3/10 does not reach it.
ELEVEN = np.concatenate([np.arange(6) * 0.1, 1 - np.arange(4, -1, -1) * 0.1])
IOUS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """All that is found of one class, the surest first, and the true box of its image that each overlaps most.

    Args:
        objects: True boxes of the class that are not difficult.
        ious: float64 [m], IoU with that box; 0 where the image has none of the class.
        boxes: int64 [m], the box; -1 where the image has none of the class.
        difficult: bool [m], whether the box is difficult.
    """

    objects: int
    ious: np.ndarray
    boxes: np.ndarray
    difficult: np.ndarray


def overlaps(annotations: Annotations, found: Sequence[Found]) -> list[Overlaps]:
    """The overlaps of each class, in the order of the classes.

    Of equal scores, that of the earlier image comes first; of boxes that are overlapped alike, the earlier one counts.

    Raises:
        InputError: The objects of the images are not known, or there is none that counts.
    """
    truth, rows = truth_of(annotations), detections_of(annotations.images, found)
    ious, boxes = _nearest(truth, rows, len(annotations.classes))
    difficult = np.append(truth.ignored, False)[boxes]
    result = []
    for label in range(len(annotations.classes)):
        of_class = np.flatnonzero(rows.labels == label)
        order = of_class[np.argsort(-rows.scores[of_class], kind="stable")]
        objects = int((~truth.ignored[truth.labels == label]).sum())
        result.append(Overlaps(objects, ious[order], boxes[order], difficult[order]))
    return result


def _nearest(truth: Truth, rows: Detections, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """For each detection the true box of its image and class with the largest IoU: that IoU, and the box or -1."""
    ious, boxes = np.zeros(len(rows.scores)), np.full(len(rows.scores), -1)
    true_groups = _groups(truth.images * classes + truth.labels)
    for key, here in _groups(rows.images * classes + rows.labels).items():
        if key in true_groups:
            candidates = true_groups[key]
            each = iou(rows.boxes[here], truth.boxes[candidates])
            best = each.argmax(1)
            ious[here], boxes[here] = each[np.arange(len(here)), best], candidates[best]
    return ious, boxes


def _groups(keys: np.ndarray) -> dict[int, np.ndarray]:
    """The rows of each key, in their order."""
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts)[1:], strict=True))


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [m, 4] with boxes [n, 4]: [m, n]."""
    sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    shared = np.maximum(sides[..., 0], 0) * np.maximum(sides[..., 1], 0)
    areas = [(one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def precision_recall(of_class: Overlaps, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each detection of a class, the surest first; both [k], from 0 to 1.

    A detection finds the box that it overlaps most, by an IoU of `threshold` or more. Whatever finds a box again, or
    none, is false. What finds a difficult box counts neither way, and is not among the k.
    """
    hits = of_class.ious >= threshold
    counted = ~(hits & of_class.difficult)
    hits, boxes = hits[counted], of_class.boxes[counted]
    true = np.zeros(len(hits), int)
    which = np.flatnonzero(hits)
    _, first = np.unique(boxes[which], return_index=True)
    true[which[first]] = 1
    true = np.cumsum(true)
    return true / np.arange(1, len(true) + 1), true / max(of_class.objects, 1)


def at(points: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """The highest precision at each of these recalls or a higher one; 0 where recall does not get there."""
    return np.append(_highest(precision), 0)[np.searchsorted(recall, points)]


def by_points(precision: np.ndarray, recall: np.ndarray) -> float:
    """AP of VOC 2007: the mean of the highest precisions at eleven recalls."""
    return float(at(ELEVEN, precision, recall).mean())


def by_area(precision: np.ndarray, recall: np.ndarray) -> float:
    """AP of VOC since 2010: the area under the highest precision at each recall or a higher one."""
    return float((np.diff(recall, prepend=0) * _highest(precision)).sum())


def _highest(precision: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(precision[::-1])[::-1]
