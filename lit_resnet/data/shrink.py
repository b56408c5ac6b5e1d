"""A smaller copy of a tree of photographs: training images no larger than needed. It is read faster."""

import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from lit_resnet.data import archives
from lit_resnet.data.layout import DEVKIT, EXTENSIONS, KAGGLE, META, VAL_THEN_TEST, InArchives, is_image, splits
from lit_resnet.data.photographs import Damaged, read_photograph, resize_short_side
from lit_resnet.data.reading import default_workers, in_order
from lit_resnet.errors import InputError
from lit_resnet.files import read_json, write_whole
from lit_resnet.listing import passing_bar

PORTION = 32  # images that a worker copies at a time

Files = list[tuple[str, str]]  # names in the copy, such as train/n01440764/a.JPEG, and what is copied


class Part(NamedTuple):
    """What a worker copies at a time: to files of their own, or to a tar of this name."""

    files: Files
    tar: str | None = None


class Done(NamedTuple):
    """The result of copying a part.

    Args:
        images: How many there were.
        smaller: How many were made smaller.
        before: Bytes of the originals.
        after: Bytes of the copies.
        damaged: The images that could not be read.
        failed: The system's error message if the copy could not be written, else None.
    """

    images: int
    smaller: int
    before: int
    after: int
    damaged: list[Damaged]
    failed: str | None


def shrink(
    source: Path,
    target: Path,
    short_side: int = 480,
    quality: int = 90,
    jobs: int | None = None,
    tars: int | None = None,
) -> None:
    """Copy the images of `source` (see `layout`) and their labels to `target`, and make training images smaller.

    The shorter side of a training image becomes `short_side` at most. Images that are no larger are copied byte for
    byte; so are damaged ones, which are named on stderr, and all test images, as a net is also judged on larger images
    than it is trained on. Files that are in `target` already are kept: after a stop, the same command continues. A file
    in `target` is always complete: it gets its name when it is.

    Args:
        source: A folder with train/ and val/ or test/ in it, or archives of these.
        target: Where the copy goes.
        short_side: Pixels; the default is the most that training resizes to (Sec. 3.4).
        quality: Of the JPEGs, 1 to 95.
        jobs: Processes; None for one per core.
        tars: Write so many tars of training images, and tars as large of test images, in place of files.

    Raises:
        InputError: A value is out of range, there are no such images, or the disk is full or cannot be written.
    """
    for name, value, least, most in (
        ("short-side", short_side, 1, 65535),
        ("quality", quality, 1, 95),
        ("tars", tars, 1, archives.MOST_ARCHIVES // 2),
    ):
        if value is not None and not least <= value <= most:
            raise InputError(f"--{name} is {value}: write a number from {least} to {most}")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs is {jobs}: write 1 or more")
    splits(source, VAL_THEN_TEST)  # refuses what is none
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise InputError(f"{target}: is in {source}: give another folder for the copy")
    files = list(_images(source))
    if not files:
        raise InputError(f"{source}: has no images ({' '.join(EXTENSIONS)})")
    if tars and not any(name.startswith("train/") for name, _ in files):
        raise InputError(f"--tars is {tars}: {source} has no training images to put into them: leave it out")
    parts = list(_in_tars(files, tars)) if tars else [Part([file]) for file in files]
    made = target / ".shrunk.json"  # the values that the files there were made with
    how = {"short_side": short_side, "quality": quality} | ({"tars": tars} if tars else {})
    if made.is_file() and (other := read_json(made)) != how:
        raise InputError(f"{target}: was made with {other}: write the same values, or give another folder")
    try:
        folders = set() if tars else {os.path.dirname(name) for name, _ in files}
        for folder in {*folders, ""}:
            (target / folder).mkdir(parents=True, exist_ok=True)
        write_whole(made, json.dumps(how) + "\n")
        for name in map(Path, (META, DEVKIT, KAGGLE)):
            if (source / name).is_file():
                part = _unfinished(target / name)
                shutil.copyfile(source / name, part)
                part.replace(target / name)
    except OSError as error:
        raise InputError(f"{target}: {error.strerror}: give another folder for the copy") from None
    missing = [part for part in parts if not (target / (part.tar or part.files[0][0])).exists()]
    there = len(files) - sum(len(part.files) for part in missing)
    if not tars:  # a portion at a time
        alone = [file for part in missing for file in part.files]
        missing = [Part(alone[start : start + PORTION]) for start in range(0, len(alone), PORTION)]
    work = partial(_copy, target=target, short_side=short_side, quality=quality)
    smaller = before = after = 0
    with (
        closing(in_order(work, missing, default_workers() if jobs is None else jobs)) as copied,
        passing_bar() as progress,
    ):
        task = progress.add_task("images", total=len(files), completed=there)
        for done in copied:
            if done.failed:
                raise InputError(f"{target}: {done.failed}: make room or repair it; the same command goes on")
            for damaged in done.damaged:
                print(f"copied as it is: {damaged}", file=sys.stderr)
            smaller, before, after = smaller + done.smaller, before + done.before, after + done.after
            progress.advance(task, done.images)
    print(
        f"{target}: {len(files)} images, of which {there} were there; of the others {smaller} are "
        f"smaller now ({before / 1e9:.2f} -> {after / 1e9:.2f} GB)",
        file=sys.stderr,
    )


def _images(source: Path) -> Iterator[tuple[str, str]]:
    """All images of all splits: their names from the split on, and the files."""
    in_archives = any(isinstance(split, InArchives) for split in splits(source, VAL_THEN_TEST))
    archived = archives.images(source, is_image) if in_archives else {}  # an archive beside folders may be anything
    for split in archives.SPLITS:
        if (source / split).is_dir():
            for folder, folders, names in os.walk(source / split, followlinks=True):
                folders.sort()
                for name in sorted(filter(is_image, names)):
                    file = os.path.join(folder, name)
                    yield os.path.relpath(file, source), file
        else:
            for files in archived.get(split, {}).values():
                yield from ((file.split("//")[-2], file) for file in files)


def _in_tars(files: Files, tars: int) -> Iterator[Part]:
    """The images in tars: so many of training images, and of test images as many as have the same number in them."""
    of_split = {split: [file for file in files if file[0].startswith(f"{split}/")] for split in archives.SPLITS}
    each = -(-len(of_split["train"]) // tars)
    for split, found in of_split.items():
        for number, start in enumerate(range(0, len(found), each)):
            yield Part(found[start : start + each], f"{split}-{number:03}.tar")


def _unfinished(path: Path) -> Path:
    """Where a file is until it is complete: a hidden name, which nobody takes for an image."""
    return path.with_name(f".{path.name}.part")


def _copy(part: Part, target: Path, short_side: int, quality: int) -> Done:
    smaller, before, after, damaged = 0, 0, 0, []
    try:
        with _Copies(target, part.tar) as copies:
            for name, file in part.files:
                found = archives.content(file)
                try:
                    made = _shrunk(file, found, short_side, quality) if name.startswith("train/") else None
                except Damaged as error:
                    made = None
                    damaged.append(error)
                smaller += made is not None
                copies.add(name, found if made is None else made)
                before += len(found)
                after += len(found if made is None else made)
    except OSError as error:
        return Done(0, smaller, before, after, damaged, error.strerror or str(error))
    return Done(len(part.files), smaller, before, after, damaged, None)


class _Copies:
    """Where copies go: to files, or to a tar, each of which gets its name when it is whole."""

    def __init__(self, target: Path, tar: str | None) -> None:
        self.target, self.whole = target, target / tar if tar else None
        self.tar: tarfile.TarFile | None = None

    def __enter__(self) -> "_Copies":
        if self.whole:
            self.tar = tarfile.open(_unfinished(self.whole), "w", format=tarfile.GNU_FORMAT)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.tar and self.whole:
            self.tar.close()
            if kind is None:
                _unfinished(self.whole).replace(self.whole)

    def add(self, name: str, content: bytes) -> None:
        """Write a copy."""
        if self.tar:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            self.tar.addfile(info, io.BytesIO(content))
            return
        part = _unfinished(self.target / name)
        part.write_bytes(content)
        part.replace(self.target / name)


def _shrunk(file: str, content: bytes, short_side: int, quality: int) -> bytes | None:
    """The image with its shorter side reduced to `short_side`; None if it is no longer than that already."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if min(image.size) <= short_side:
                return None
    except (OSError, Image.DecompressionBombError):
        raise Damaged(file) from None
    smaller, made = resize_short_side(read_photograph(file), short_side), io.BytesIO()
    kind = Image.registered_extensions()[os.path.splitext(archives.entry(file)[1])[1].lower()]
    Image.fromarray(smaller.permute(1, 2, 0).numpy()).save(made, kind, quality=quality)
    return made.getvalue()
