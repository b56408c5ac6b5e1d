"""A smaller copy of a folder of photographs: training images no larger than needed. It is read faster."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from rich.console import Console
from rich.progress import Progress

from lit_resnet.data.layout import DEVKIT, EXTENSIONS, KAGGLE, META, VAL_THEN_TEST, split_folders
from lit_resnet.data.photographs import Damaged, read_photograph, resize_short_side
from lit_resnet.data.reading import default_workers, in_order
from lit_resnet.errors import InputError
from lit_resnet.files import read_json, write_whole

PORTION = 32  # images that a worker copies at a time


class Done(NamedTuple):
    """The result of copying a portion.

    Args:
        smaller: How many images were made smaller.
        before: Bytes of the originals.
        after: Bytes of the copies.
        damaged: The images that could not be read.
        failed: The system's error message if the copy could not be written, else None.
    """

    smaller: int
    before: int
    after: int
    damaged: list[Damaged]
    failed: str | None


def shrink(source: Path, target: Path, short_side: int = 480, quality: int = 90, jobs: int | None = None) -> None:
    """Copy the images of `source` (see `layout`) and their labels to `target`, and make training images smaller.

    The shorter side of a training image becomes `short_side` at most. Images that are no larger are copied byte for
    byte; so are damaged ones, which are named on stderr, and all test images, as a net is also judged on larger images
    than it is trained on. Files that are in `target` already are kept: after a stop, the same command continues. A file
    in `target` is always complete: it gets its name when it is.

    Args:
        source: A folder with train/ and val/ or test/ in it.
        target: Where the copy goes.
        short_side: Pixels; the default is the most that training resizes to (Sec. 3.4).
        quality: Of the JPEGs, 1 to 95.
        jobs: Processes; None for one per core.

    Raises:
        InputError: A value is out of range, there are no such images, or the disk is full or cannot be written.
    """
    for name, value, least, most in (("short-side", short_side, 1, 65535), ("quality", quality, 1, 95)):
        if not least <= value <= most:
            raise InputError(f"--{name} is {value}: write a number from {least} to {most}")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs is {jobs}: write 1 or more")
    split_folders(source, VAL_THEN_TEST)
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise InputError(f"{target}: is in {source}: give another folder for the copy")
    names = list(_images_below(source))
    if not names:
        raise InputError(f"{source}: has no images ({' '.join(EXTENSIONS)})")
    made = target / ".shrunk.json"  # the values that the files there were made with
    how = {"short_side": short_side, "quality": quality}
    if made.is_file() and (other := read_json(made)) != how:
        raise InputError(f"{target}: was made with {other}: write the same values, or give another folder")
    try:
        for folder in {name.parent for name in names} | {Path()}:
            (target / folder).mkdir(parents=True, exist_ok=True)
        write_whole(made, json.dumps(how) + "\n")
        for name in map(Path, (META, DEVKIT, KAGGLE)):
            if (source / name).is_file():
                part = _part(target / name)
                shutil.copyfile(source / name, part)
                part.replace(target / name)
    except OSError as error:
        raise InputError(f"{target}: {error.strerror}: give another folder for the copy") from None
    missing = [name for name in names if not (target / name).exists()]
    parts = (missing[start : start + PORTION] for start in range(0, len(missing), PORTION))
    work = partial(_copy, source=source, target=target, short_side=short_side, quality=quality)
    smaller = before = after = 0
    with (
        closing(in_order(work, parts, default_workers() if jobs is None else jobs)) as copied,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("images", total=len(names), completed=len(names) - len(missing))
        for done in copied:
            if done.failed:
                raise InputError(f"{target}: {done.failed}: make room or repair it; the same command goes on")
            for damaged in done.damaged:
                print(f"copied as it is: {damaged}", file=sys.stderr)
            smaller, before, after = smaller + done.smaller, before + done.before, after + done.after
            progress.advance(task, PORTION)
    print(
        f"{target}: {len(names)} images, of which {len(names) - len(missing)} were there; of the others {smaller} are "
        f"smaller now ({before / 1e9:.2f} -> {after / 1e9:.2f} GB)",
        file=sys.stderr,
    )


def _images_below(source: Path) -> Iterator[Path]:
    """The paths of all images of all splits, relative to `source`."""
    for split in ("train", "val", "test"):
        for folder, _, names in os.walk(source / split, followlinks=True):
            for name in sorted(names):
                if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                    yield (Path(folder) / name).relative_to(source)


def _part(path: Path) -> Path:
    """Where a file is until it is complete: a hidden name, which nobody takes for an image."""
    return path.with_name(f".{path.name}.part")


def _copy(names: Sequence[Path], source: Path, target: Path, short_side: int, quality: int) -> Done:
    smaller, before, after, damaged = 0, 0, 0, []
    try:
        for name in names:
            part = _part(target / name)
            try:
                shrunk = _shrunk(source / name, short_side) if name.parts[0] == "train" else None
            except Damaged as error:
                shrunk = None
                damaged.append(error)
            if shrunk is None:
                shutil.copyfile(source / name, part)
            else:
                shrunk.save(part, Image.registered_extensions()[name.suffix.lower()], quality=quality)
                smaller += 1
            before += (source / name).stat().st_size
            after += part.stat().st_size
            part.replace(target / name)
    except OSError as error:
        return Done(smaller, before, after, damaged, error.strerror or str(error))
    return Done(smaller, before, after, damaged, None)


def _shrunk(path: Path, short_side: int) -> Image.Image | None:
    """The image with its shorter side reduced to `short_side`; None if it is no longer than that already."""
    try:
        with Image.open(path) as image:
            if min(image.size) <= short_side:
                return None
    except (OSError, Image.DecompressionBombError):
        raise Damaged(path) from None
    return Image.fromarray(resize_short_side(read_photograph(path), short_side).permute(1, 2, 0).numpy())
