"""What is true and what is found in many images, as rows of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lit_resnet.data.boxes import Annotated, Annotations, Found
from lit_resnet.errors import InputError


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of all images, a row each; image by image, in the order of the files.

    Args:
        images: int64 [n], the position of the image among the images.
        labels: int64 [n].
        boxes: float64 [n, 4].
        ignored: bool [n].
        areas: float64 [n].
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    ignored: np.ndarray
    areas: np.ndarray


@dataclass(frozen=True, eq=False)
class Detections:
    """What is found in all images, a row each; image by image.

    Args:
        images: int64 [m], the position of the image among the images.
        labels: int64 [m].
        boxes: float64 [m, 4].
        scores: float64 [m].
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


def truth_of(annotations: Annotations) -> Truth:
    """The objects of the images.

    Raises:
        InputError: They are not public, or there is none that counts.
    """
    if not annotations.truth:
        raise InputError(
            f"{annotations.images[0].file}: the objects of these images are not public: only a server can judge what "
            "is found in them; write its files with --submission"
        )
    images = annotations.images
    ignored = _joined([image.ignored for image in images], bool)
    if ignored.all():
        raise InputError(f"{images[0].file}: neither this image nor the others have an object that counts")
    return Truth(
        _positions([len(image.boxes) for image in images]),
        _joined([image.labels for image in images], np.int64),
        _joined([image.boxes for image in images], float).reshape(-1, 4),
        ignored,
        _joined([image.areas for image in images], float),
    )


def detections_of(images: Sequence[Annotated], found: Sequence[Found]) -> Detections:
    """What is found in the images, each image's in the order of `found`.

    A box or score that is not finite, as nets give that diverged, is left out.

    Raises:
        ValueError: There are not as many `found` as images.
    """
    rows = Detections(
        _positions([len(one.scores) for _, one in zip(images, found, strict=True)]),
        _joined([one.labels for one in found], np.int64),
        _joined([one.boxes for one in found], float).reshape(-1, 4),
        _joined([one.scores for one in found], float),
    )
    finite = np.isfinite(rows.scores) & np.isfinite(rows.boxes).all(1)
    return Detections(rows.images[finite], rows.labels[finite], rows.boxes[finite], rows.scores[finite])


def _positions(counts: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    """The values of all parts, one after another."""
    return np.concatenate([np.ravel(part) for part in parts], dtype=kind, casting="unsafe")
