"""Files of detections for the servers that judge them, as the objects of some test images are not public."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from lit_resnet.data.boxes import Annotations, Found
from lit_resnet.errors import InputError, shown
from lit_resnet.evaluation.detection.rows import detections_of
from lit_resnet.files import write_whole


def submission(annotations: Annotations, found: Sequence[Found], folder: Path, judged: str) -> list[Path]:
    """Write what is found into a folder, in the form of a server.

    VOC: `comp4_det_test_<class>.txt` for each class, a line a detection: image, score, and the box in VOC's own
    coordinates, from 1, with its last pixels. The server takes them below `results/VOC2012/Main/` in a tar file.
    COCO: `detections_results.json`, a list of results. The server takes it in a zip file, with the set in its name.

    Args:
        annotations: The images, with the names and numbers of the classes; nothing else of them is used.
        found: What is found in each image.
        folder: The folder; made where there is none.
        judged: Whose server: a name of `JUDGES`.

    Returns:
        The files.

    Raises:
        InputError: The folder cannot be written, or an image or class has a name that the server cannot have given it.
    """
    files = FORMS[judged](annotations, found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}): give another folder") from None
    return [folder / name for name in files]


def _voc(annotations: Annotations, found: Sequence[Found]) -> dict[str, str]:
    for name in annotations.classes:
        if "/" in name or "\\" in name:
            raise InputError(f"class {shown(name)}: no name for a file of VOC's: rename it in the annotations")
    lines: dict[int, list[str]] = {label: [] for label in range(len(annotations.classes))}
    rows = detections_of(annotations.images, found)
    # Nine digits tell all 32-bit floats apart.
    for image, label, (x1, y1, x2, y2), score in zip(
        rows.images.tolist(), rows.labels.tolist(), rows.boxes.tolist(), rows.scores.tolist(), strict=True
    ):
        box = " ".join(f"{value:.9g}" for value in (x1 + 1, y1 + 1, x2, y2))
        lines[label].append(f"{annotations.images[image].name} {score:.9g} {box}\n")
    return {f"comp4_det_test_{annotations.classes[label]}.txt": "".join(text) for label, text in lines.items()}


def _coco(annotations: Annotations, found: Sequence[Found]) -> dict[str, str]:
    for image in annotations.images:
        if not (image.name.isascii() and image.name.isdigit()):
            raise InputError(f"{image.file}: image {shown(image.name)}: COCO's images have numbers; write VOC's files")
    rows = detections_of(annotations.images, found)
    results = [
        {
            "image_id": int(annotations.images[image].name),
            "category_id": annotations.categories[label],
            "bbox": [float(f"{value:.9g}") for value in (x1, y1, x2 - x1, y2 - y1)],
            "score": float(f"{score:.9g}"),
        }
        for image, label, (x1, y1, x2, y2), score in zip(
            rows.images.tolist(), rows.labels.tolist(), rows.boxes.tolist(), rows.scores.tolist(), strict=True
        )
    ]
    return {"detections_results.json": json.dumps(results)}


# The contents of the files by their names.
FORMS: dict[str, Callable[[Annotations, Sequence[Found]], dict[str, str]]] = {"voc": _voc, "coco": _coco}
