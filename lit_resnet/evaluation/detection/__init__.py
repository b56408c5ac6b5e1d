"""How detectors are judged (Tables 7 and 8): PASCAL VOC's average precision in its two forms, and COCO's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.evaluation.detection import coco
from lit_resnet.evaluation.detection.average_precision import (
    IOUS,
    Overlaps,
    at,
    by_area,
    by_points,
    overlaps,
    precision_recall,
)
from lit_resnet.evaluation.detection.submission import submission

__all__ = ["JUDGES", "PROTOCOLS", "RECALLS", "Judgement", "check_judge", "submission"]

RECALLS = np.linspace(0, 1, 101)  # of a Judgement's `precision`


@dataclass(frozen=True, eq=False)
class Judgement:
    """How well the objects of some images are found; all in percent.

    A class without objects that count has no AP, and is left out of the means. One that is never found has 0, also if
    it is a class that no training image has.

    Args:
        map50: Mean of the AP at an IoU of 0.5 over the classes.
        map: Its mean over IoUs from 0.5 to 0.95; None where the protocol has none.
        ap: AP by class: at an IoU of 0.5, and COCO's over all IoUs.
        precision: By class, the highest precision at each of `RECALLS` or a higher recall, at an IoU of 0.5: [101].
    """

    map50: float
    map: float | None
    ap: Mapping[str, float | None]
    precision: Mapping[str, np.ndarray | None]


Judge = Callable[[Annotations, Sequence[Found]], Judgement]
Rule = Callable[[np.ndarray, np.ndarray], float]  # precision [k], recall [k] -> AP


def voc07(annotations: Annotations, found: Sequence[Found]) -> Judgement:
    """PASCAL VOC 2007: eleven points, boxes that overlap by an IoU of 0.5 or more.

    Args:
        annotations: The images and their objects.
        found: What is found in each.

    Raises:
        InputError: The objects are not known, or there is none that counts.
    """
    return _voc(overlaps(annotations, found), annotations.classes, by_points)


def voc10(annotations: Annotations, found: Sequence[Found]) -> Judgement:
    """PASCAL VOC since 2010: the area under the curve, at the same IoU; as `voc07` otherwise."""
    return _voc(overlaps(annotations, found), annotations.classes, by_area)


def voc_over_ious(annotations: Annotations, found: Sequence[Found]) -> Judgement:
    """As `voc10`, with the mean over IoUs from 0.5 to 0.95, which VOC itself does not have."""
    classes = overlaps(annotations, found)
    at_half = _voc(classes, annotations.classes, by_area)
    every = [_voc(classes, annotations.classes, by_area, iou).map50 for iou in IOUS]
    return Judgement(at_half.map50, float(np.mean(every)), at_half.ap, at_half.precision)


def _voc(classes: Sequence[Overlaps], names: Sequence[str], rule: Rule, iou: float = 0.5) -> Judgement:
    curves = {
        name: precision_recall(one, iou) if one.objects else None for name, one in zip(names, classes, strict=True)
    }
    ap = {name: None if curve is None else 100 * rule(*curve) for name, curve in curves.items()}
    precision = {name: None if curve is None else 100 * at(RECALLS, *curve) for name, curve in curves.items()}
    return Judgement(float(np.mean([one for one in ap.values() if one is not None])), None, ap, precision)


def by_coco(annotations: Annotations, found: Sequence[Found]) -> Judgement:
    """COCO: the mean precision at 101 recalls, over the classes and IoUs from 0.5 to 0.95.

    Args:
        annotations: The images and their objects.
        found: What is found in each.

    Raises:
        InputError: faster-coco-eval is not installed, the objects are not known, or there is none that counts.
    """
    whole = coco.precisions(annotations, found)[..., coco.RANGES.index("all")]  # [IoU, recall, class]
    names = annotations.classes
    known = whole[0, 0] != coco.NONE
    ap = {name: _percent(whole[:, :, k]) if known[k] else None for k, name in enumerate(names)}
    precision = {name: 100 * whole[0, :, k] if known[k] else None for k, name in enumerate(names)}
    return Judgement(_percent(whole[0]), _percent(whole), ap, precision)


def check_judge(judged: str) -> None:
    """Refuse a run whose evaluations would lack a package, before it has trained up to the first one.

    Args:
        judged: A name of `JUDGES`.

    Raises:
        InputError: faster-coco-eval is not installed.
    """
    if JUDGES[judged] is by_coco:
        coco.check_installed()


def _percent(precisions: np.ndarray) -> float:
    """Their mean over the classes that have objects."""
    return 100 * float(precisions[precisions != coco.NONE].mean())


# By the names that `--protocol` takes.
PROTOCOLS: dict[str, Judge] = {"voc07": voc07, "voc10": voc10, "coco": by_coco}
# With a mean over IoUs, for runs while they train: by the `judged` of a format of annotations.
JUDGES: dict[str, Judge] = {"voc": voc_over_ious, "coco": by_coco}
