"""Judges of detectors to compare ours with: VOC's development kit, written again in loops, and COCO's own tools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lit_resnet.data.boxes import Annotations, Found


def devkit(true: Annotations, guesses: Sequence[Found], label: int, protocol: str, threshold: float = 0.5) -> float:
    """AP in percent, as VOCevaldet.m and VOCap.m go about it: in loops, and in coordinates that hold the last pixel."""
    inclusive = [[(x1 + 1, y1 + 1, x2, y2) for x1, y1, x2, y2 in one.boxes.tolist()] for one in true.images]
    taken = [[False] * len(boxes) for boxes in inclusive]
    lines = [
        (float(score), i, (float(x1) + 1, float(y1) + 1, float(x2), float(y2)))
        for i, one in enumerate(guesses)
        for score, kind, (x1, y1, x2, y2) in zip(one.scores, one.labels, one.boxes, strict=True)
        if kind == label
    ]
    outcomes = []
    for _, i, (x1, y1, x2, y2) in sorted(lines, key=lambda line: -line[0]):
        largest, which = -np.inf, None
        for j, (left, top, right, bottom) in enumerate(inclusive[i]):
            if true.images[i].labels[j] != label:
                continue
            width, height = min(x2, right) - max(x1, left) + 1, min(y2, bottom) - max(y1, top) + 1
            if width > 0 and height > 0:
                union = (x2 - x1 + 1) * (y2 - y1 + 1) + (right - left + 1) * (bottom - top + 1) - width * height
                if width * height / union > largest:
                    largest, which = width * height / union, j
        if largest >= threshold and which is not None:
            if not true.images[i].ignored[which]:
                outcomes.append(not taken[i][which])
                taken[i][which] = True
        else:
            outcomes.append(False)
    objects = sum(int((~one.ignored[one.labels == label]).sum()) for one in true.images)
    recall, precision, right = [], [], 0
    for count, outcome in enumerate(outcomes, start=1):
        right += outcome
        recall.append(right / objects)
        precision.append(right / count)
    if protocol == "voc07":
        points = [0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
        highest = [max((p for p, r in zip(precision, recall, strict=True) if r >= t), default=0) for t in points]
        return 100 * sum(highest) / 11
    area, recall = 0.0, [0.0, *recall, 1.0]
    precision = [0.0, *precision, 0.0]
    for i in range(1, len(recall)):
        area += (recall[i] - recall[i - 1]) * max(precision[i:])
    return 100 * area


def pycocotools(true: Annotations, guesses: list[Found]) -> COCOeval:
    """The judgement of COCO's own tools."""
    objects = [
        {
            "image_id": int(one.name),
            "category_id": true.categories[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": area,
            "iscrowd": int(crowd),
        }
        for one in true.images
        for (x1, y1, x2, y2), label, crowd, area in zip(
            one.boxes.tolist(), one.labels, one.ignored, one.areas.tolist(), strict=True
        )
    ]
    results = [
        {
            "image_id": int(one.name),
            "category_id": true.categories[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for one, of_image in zip(true.images, guesses, strict=True)
        for (x1, y1, x2, y2), label, score in zip(
            of_image.boxes.astype(float).tolist(), of_image.labels, of_image.scores.tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": int(one.name)} for one in true.images],
            "categories": [{"id": i, "name": name} for i, name in zip(true.categories, true.classes, strict=True)],
            "annotations": [one | {"id": i} for i, one in enumerate(objects, start=1)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
