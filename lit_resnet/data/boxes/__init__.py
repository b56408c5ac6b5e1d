"""Images with boxes around their objects: what the readers of PASCAL VOC's and COCO's annotations give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Annotated:
    """An image and its objects.

    Coordinates are continuous, in pixels of the image as it lies in its file: a box is (x1, y1, x2, y2), the first
    pixel reaches from 0 to 1, and the box around all pixels is (0, 0, width, height).

    Args:
        name: VOC's name of the image (`000012`), or COCO's id in digits.
        file: The image.
        height: Of the image, in pixels.
        width: Likewise.
        boxes: float64 [n, 4].
        labels: int64 [n], from 0, in the order of the data set's classes.
        ignored: bool [n], VOC's `difficult` or COCO's `iscrowd`: not trained on, and neither right nor wrong to find.
        areas: float64 [n]; COCO's are those of the objects' outlines, by which it sorts them into small and large ones.
    """

    name: str
    file: str
    height: int
    width: int
    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    areas: np.ndarray

    def scale(self, height: int, width: int) -> np.ndarray:
        """What its boxes are multiplied by in a copy of that size: float64 [4]."""
        return np.array([width / self.width, height / self.height] * 2)


@dataclass(frozen=True)
class Annotations:
    """The images of some sets, in the order of the sets.

    Args:
        images: The images.
        classes: Names of the classes, in the order of the labels.
        categories: The number of each class in the files: COCO's `category_id`; 1, 2, ... where they have none.
        degenerate: Boxes without width or height, which were left out, each in words with its file.
        truth: Whether the objects are known. Those of VOC 2012's and COCO's test images are not public: such images
            have no boxes here, and only the servers can judge what is found in them.
    """

    images: tuple[Annotated, ...]
    classes: tuple[str, ...]
    categories: tuple[int, ...]
    degenerate: tuple[str, ...] = ()
    truth: bool = True

    def part(self, numbers: Sequence[int]) -> "Annotations":
        """Some of the images."""
        return replace(self, images=tuple(self.images[number] for number in numbers))


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector finds in an image, in the coordinates of `Annotated`; the best first.

    Args:
        boxes: float32 [m, 4].
        labels: int64 [m], from 0.
        scores: float32 [m], from 0 to 1.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
