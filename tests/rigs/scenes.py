"""Made-up images with boxes around their objects, and what a made-up detector finds in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lit_resnet.data.boxes import Annotated, Annotations, Found

Box = tuple[float, float, float, float]


def image(
    boxes: Sequence[Box], labels: Sequence[int] | None = None, ignored: Sequence[bool] | None = None, name: str = "1"
) -> Annotated:
    """An image of 100x100 pixels; its objects are of class 0 and count where nothing else is said."""
    array = np.array(boxes, float).reshape(-1, 4)
    return Annotated(
        name,
        f"{name}.jpg",
        100,
        100,
        array,
        np.array(labels or [0] * len(array), np.int64),
        np.array(ignored or [False] * len(array), bool),
        (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1]),
    )


def write_image(path: Path, size: tuple[int, int] = (20, 12)) -> None:
    """Write a black image of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def annotations(*images: Annotated, classes: Sequence[str] = ("cat", "dog", "cow")) -> Annotations:
    """Images, and classes whose numbers have gaps."""
    return Annotations(images, tuple(classes), tuple(2 * i + 1 for i in range(len(classes))))


def found(boxes: Sequence[Box], scores: Sequence[float], labels: Sequence[int] | None = None) -> Found:
    """What is found in an image; of class 0 where nothing else is said."""
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels or [0] * len(scores), np.int64),
        np.array(scores, np.float32),
    )


def scene(seed: int, images: int = 30, ignored: float = 0.3) -> tuple[Annotations, list[Found]]:
    """Random objects on whole pixels, and a detector that finds them roughly, twice, or not, and others as well.

    Some scores are equal, some images have no objects, and in some nothing is found.
    """
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        corners = rng.integers(0, 60, (count, 2))
        return np.concatenate([corners, corners + rng.integers(1, 40, (count, 2))], 1).astype(float)

    true, guessed = [], []
    for number in range(1, images + 1):
        count = int(rng.integers(0, 6))
        labels, where = rng.integers(0, 3, count), boxes(count)
        true.append(image(where.tolist(), labels.tolist(), (rng.random(count) < ignored).tolist(), str(number)))
        again = rng.integers(0, count, int(rng.integers(0, 9))) if count else np.zeros(0, int)
        near = where[again] + np.concatenate(
            [rng.integers(-3, 1, (len(again), 2)), rng.integers(0, 4, (len(again), 2))], 1
        )
        random = boxes(int(rng.integers(0, 4)))
        both = np.concatenate([near, random])
        kinds = np.concatenate([labels[again], rng.integers(0, 3, len(random))])
        scores = rng.random(len(both)).round(1 if rng.random() < 0.5 else 7)
        order = np.argsort(-scores, kind="stable")
        guessed.append(found(both[order].tolist(), scores[order].tolist(), kinds[order].tolist()))
    return annotations(*true), guessed
