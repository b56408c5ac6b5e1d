"""Folders of small images (see `layout`), decoded once into the cache.

Greyscale, palette and CMYK images become RGB; an alpha channel is dropped.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from lit_resnet.data.archives import changed, content, entry
from lit_resnet.data.array_cache import cached, digest
from lit_resnet.data.layout import TEST_THEN_VAL, class_names, splits, test_images, training_images
from lit_resnet.data.photographs import Damaged, centre, read_photograph, resize_short_side
from lit_resnet.errors import InputError
from lit_resnet.listing import passing_bar

CHUNK = 64  # images that a thread decodes at a time


def describe(root: Path, image_size: int | None) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """Names of the classes and image shape (C, H, W), from the names of the folders and the header of one image.

    Raises:
        InputError: A folder is missing or empty, or that image cannot be read.
    """
    classes = class_names(root, TEST_THEN_VAL)
    file = splits(root, TEST_THEN_VAL)[0].of(classes[0])[0]
    try:
        with Image.open(io.BytesIO(content(file))) as image:
            width, height = image.size
    except OSError:
        raise Damaged(file) from None
    return tuple(classes), (3, image_size or height, image_size or width)


def load(root: Path, image_size: int | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images, training labels, test images, test labels: uint8 [N, 3, H, W] and int64 [N]; from the cache.

    The cache has one file for each root and size. It is made again after a file was added to the folder,
    removed or changed (in size or time), and when it is damaged.

    Raises:
        InputError: The folder is not as it should be, an image is damaged, or the cache cannot be written.
    """
    (train, labels), (test, test_labels) = training_images(root, TEST_THEN_VAL), test_images(root, TEST_THEN_VAL)
    files = train + test
    contents = digest([(file, entry(file)[2], changed(file)) for file in files])
    key = [str(root.absolute()), image_size]
    images = torch.from_numpy(cached(key, contents, lambda: _decode(files, image_size).numpy()))
    return images[: len(train)], labels, images[len(train) :], test_labels


def read_image(file: Path | str, image_size: int | None) -> Tensor:
    """Read one image, uint8 [3, H, W].

    With `image_size`, its shorter side is resized to that (antialiased) and the centre cut out.

    Raises:
        InputError: It is no image, a damaged one, or one of 16 bits or several frames.
    """
    image = read_photograph(file)
    return image if image_size is None else centre(resize_short_side(image, image_size), image_size)


def _decode(files: list[str], image_size: int | None) -> Tensor:
    """Decode all images: uint8 [N, 3, H, W].

    Threads do it, as the decoder runs without Python's lock. Processes would have to import torch first, or be forked
    from a process that has threads.
    """
    # Small files are decoded faster than threads hand over the lock: two took twice as long as one for 32x32 JPEGs.
    threads = 1 if entry(files[0])[2] < 2048 else torch.get_num_threads()
    first = read_image(files[0], image_size)
    images = torch.empty(len(files), *first.shape, dtype=torch.uint8)

    def fill(start: int) -> int:
        chunk = files[start : start + CHUNK]
        for i, file in enumerate(chunk, start):
            image = read_image(file, image_size)
            if image.shape != first.shape:
                (_, height, width), (_, first_height, first_width) = image.shape, first.shape
                raise InputError(
                    f"{file}: is {width}x{height}, but {files[0]} is {first_width}x{first_height}: "
                    "give image_size, to which all are then resized"
                )
            images[i] = image
        return len(chunk)

    with (
        ThreadPoolExecutor(threads) as pool,
        passing_bar() as progress,
    ):
        task = progress.add_task("decoding images", total=len(files))
        for n in pool.map(fill, range(0, len(files), CHUNK)):
            progress.advance(task, n)
    return images
