"""Made-up images with boxes around their objects, and what a made-up detector finds in them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lit_resnet.data.boxes import Annotated, Annotations, Found

Box = tuple[float, float, float, float]
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


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


def write_voc(
    folder: Path,
    sets: Sequence[str] = ("train", "test"),
    images: int = 4,
    size: tuple[int, int] = (64, 48),
    prefix: str = "",
    classes: tuple[str, str] = ("red", "green"),
) -> None:
    """Write sets of squares of two colours in VOC's layout; the first image has none, the third a difficult one.

    There are no annotations of a set whose name ends in `?`. The names of the images begin with `prefix`.
    """
    width, height = size
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for said in sets:
        split = said.removesuffix("?")
        names = [f"{prefix}{split}{i}" for i in range(images)]
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for i, name in enumerate(names):
            pixels, objects = rng.integers(0, 60, (height, width, 3), np.uint8), ""
            for label in range(2 * (i > 0)):
                x, y = (int(rng.integers(0, side - 20)) for side in size)
                pixels[y : y + 20, x : x + 20, label] = 250
                kind, difficult = classes[label], int(i == 2 and label)
                objects += OBJECT.format(kind, difficult, x + 1, y + 1, x + 20, y + 20)
            Image.fromarray(pixels).save(folder / "JPEGImages" / f"{name}.jpg")
            sides = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
            if said == split:
                (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{sides}{objects}</annotation>")


def write_coco(folder: Path, sets: Sequence[str]) -> None:
    """Write sets of two black images in COCO's layout, with one object each."""
    (folder / "annotations").mkdir(parents=True)
    for split in sets:
        images = [{"id": i, "file_name": f"{split}{i}.jpg", "width": 64, "height": 48} for i in (1, 2)]
        objects = [
            {"id": i, "image_id": i, "category_id": 3, "bbox": [4, 4, 30, 20], "area": 500, "iscrowd": 0}
            for i in (1, 2)
        ]
        content = {"images": images, "annotations": objects, "categories": [{"id": 3, "name": "square"}]}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        for one in images:
            write_image(folder / split / str(one["file_name"]), (64, 48))
