"""Batches of images with boxes: sizes, mirror images, order, and images that are not as they should be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import image as annotated

from lit_resnet.data.boxes import Annotated
from lit_resnet.data.boxes.stream import BoxBatch, BoxStream, SizedImages, Sizes, resized_boxes
from lit_resnet.data.photographs import Damaged

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path: Path) -> list[Annotated]:
    """Five images of 100x100, dark but for the object, which is bright; the last one without objects."""
    made = []
    for number in range(5):
        box = (10 + 5 * number, 20, 40 + 5 * number, 60) if number < 4 else None
        one = annotated([box] if box else [], name=str(number))
        pixels = np.zeros((100, 100, 3), np.uint8)
        if box:
            pixels[box[1] : box[3], box[0] : box[2]] = 250
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        made.append(Annotated(**{**vars(one), "file": str(path)}))
    return made


def stream(
    images: list[Annotated], *, position: int = 0, workers: int = 0, flip: bool = True, **share: int
) -> BoxStream:
    return BoxStream(images, Sizes(50, 80), flip, 2, 7, position, CPU, workers, **share)


def same(a: BoxBatch, b: BoxBatch) -> bool:
    tensors = zip((*a.images, *a.boxes, *a.labels), (*b.images, *b.boxes, *b.labels), strict=True)
    return all(torch.equal(x, y) for x, y in tensors) and a.draws == b.draws


def test_sizes_are_those_of_faster_rcnn():
    """Shorter side 600, longer at most 1000 (Appendix A)."""
    sizes = Sizes(600, 1000)
    assert sizes.of(375, 500) == (600, 800)
    assert sizes.of(500, 375) == (800, 600)
    assert sizes.of(300, 600) == (500, 1000)
    assert sizes.of(1, 5000) == (1, 1000)


def test_a_batch_is_a_function_of_seed_and_number(images: list[Annotated]):
    whole, later, read = stream(images), stream(images, position=3), stream(images, workers=1)
    batches = [next(whole) for _ in range(5)]
    assert same(next(later), batches[3])
    assert all(same(next(read), batch) for batch in batches)
    read.close()
    shares = [stream(images, rank=rank, world_size=2) for rank in range(2)]
    for batch in batches:
        parts = [next(share) for share in shares]
        assert same(BoxBatch(*([*first, *second] for first, second in zip(*parts, strict=True))), batch)


def test_boxes_follow_their_objects(images: list[Annotated]):
    """Half the size, and mirrored or not: the pixels in the box are bright, those around it dark."""
    mirrored = 0
    for batch in (next(batches) for batches in [stream(images)] for _ in range(8)):
        for image, boxes in zip(batch.images, batch.boxes, strict=True):
            assert image.shape == (3, 50, 50)
            for x1, y1, x2, y2 in boxes.round().int().tolist():
                inside = image[:, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
                assert inside.min() > 240
                assert image.sum() < 3 * 250 * (x2 - x1 + 2) * (y2 - y1 + 2)
                mirrored += x1 > 25 - (x2 - x1) / 2
    assert mirrored


def test_mirrored_twice_is_as_before(images: list[Annotated]):
    one = images[0]
    image = torch.zeros(3, 50, 50)
    flipped = resized_boxes(one, image, flip=True)
    again = Annotated(**{**vars(one), "boxes": flipped.double().numpy(), "height": 50, "width": 50})
    assert torch.equal(resized_boxes(again, image, flip=True), resized_boxes(one, image, flip=False))


def test_what_is_difficult_is_not_trained_on(images: list[Annotated]):
    ignored = [Annotated(**{**vars(one), "ignored": np.ones(len(one.labels), bool)}) for one in images]
    assert all(len(boxes) == 0 for boxes in next(stream(ignored)).boxes)


def test_test_images_come_once_each_in_their_order(images: list[Annotated]):
    tested = SizedImages(images, [Sizes(50, 80), Sizes(20, 40)], CPU, 0, 1, 2)
    assert len(tested) == 2
    assert [(one.number, [tuple(size.shape) for size in one.sizes]) for one in tested] == [
        (1, [(3, 50, 50), (3, 20, 20)]),
        (3, [(3, 50, 50), (3, 20, 20)]),
    ]


@pytest.mark.parametrize("mode", ["L", "CMYK", "P"])
def test_images_of_other_colours(images: list[Annotated], tmp_path: Path, mode: str):
    path = tmp_path / ("0.jpg" if mode == "CMYK" else "0.png")
    Image.new(mode, (100, 100)).save(path)
    (one,) = SizedImages([Annotated(**{**vars(images[0]), "file": str(path)})], [Sizes(50, 80)], CPU, 0)
    assert one.sizes[0].shape == (3, 50, 50)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "not an image"), ((60, 100), "is 60x100, and its annotation says 100x100")]
)
def test_an_image_that_is_not_as_its_annotation_says(images: list[Annotated], content: tuple | None, words: str):
    path = Path(images[2].file)
    if content is None:
        path.write_bytes(b"no image")
    else:
        Image.new("RGB", content).save(path)
    with pytest.raises(Damaged, match=words):
        list(SizedImages(images, [Sizes(50, 80)], CPU, 0))
    batches = stream(images)
    with pytest.raises(Damaged, match=words):
        [next(batches) for _ in range(3)]
