"""Images in tar and zip files, read where they lie: nothing is unpacked.

An archive is indexed once, and the index is kept in the cache: the name of every image, and where it begins. Tars may
hold tars, as ImageNet's do. An image in an archive is named by a string that says all that reading it takes, so that
worker processes need no index: `/data/train.tar//train/n01440764/a.JPEG//1536+4096`, with its first byte and its
length; for one that a zip file has packed, `1536+4096z4000` with its length there, too.
"""

import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

import numpy as np
from rich.progress import DownloadColumn, Progress

from lit_resnet.data.array_cache import cached, digest
from lit_resnet.errors import InputError, shown
from lit_resnet.files import FOR_A_WHILE
from lit_resnet.listing import passing_bar

ENDINGS = (".tar", ".zip")
MOST_ARCHIVES = 500  # in a folder: each stays open in every process that reads
READERS = 16  # threads that index tars in a tar: a shared disk takes long to answer, and answers many at a time
BLOCK = 512  # bytes of a tar's header; what follows is filled up to a multiple of it
SPLITS = ("train", "val", "test")
NAMED = re.compile(r"(.+)//(.+)//(\d+)\+(\d+)(?:z(\d+))?")


class Member(NamedTuple):
    """A file in an archive.

    Args:
        archive: The archive's path.
        name: `train/n01440764/a.JPEG`; of a split without classes `val/a.JPEG`.
        start: The first of its bytes.
        length: How many there are; of a packed one, when it is unpacked.
        packed: How many there are in the archive; None of one that is stored as it is.
    """

    archive: str
    name: str
    start: int
    length: int
    packed: int | None


def member(file: str) -> Member | None:
    """What a string names; None if that is a file of its own."""
    found = NAMED.fullmatch(file) if "//" in file else None
    if not found:
        return None
    archive, name, start, length, packed = found.groups()
    return Member(archive, name, int(start), int(length), int(packed) if packed else None)


def content(file: str) -> bytes:
    """The bytes of a file, or of one in an archive.

    Raises:
        OSError: It cannot be read, or the archive has become another.
    """
    found = member(file)
    if found is None:
        with open(file, "rb") as opened:
            return opened.read()
    read = os.pread(_opened(found.archive), found.packed or found.length, found.start)
    if found.packed:
        try:
            read = zlib.decompress(read, -zlib.MAX_WBITS)
        except zlib.error as error:
            raise OSError(str(error)) from None
    if len(read) != found.length:
        raise OSError("shorter than its index says")
    return read


def entry(file: str) -> tuple[str, str, int]:
    """The name of the folder of a file, its own name, and its bytes: the same in an archive as unpacked.

    Raises:
        InputError: It is missing.
    """
    found = member(file)
    path = PurePosixPath(found.name if found else file)
    return path.parent.name, path.name, found.length if found else _stat(file).st_size


def changed(file: str) -> int:
    """When a file, or the archive that it is in, was written: nanoseconds.

    Raises:
        InputError: It is missing.
    """
    found = member(file)
    return _stat(found.archive if found else file).st_mtime_ns


def _stat(file: str) -> os.stat_result:
    try:
        return os.stat(file)
    except OSError as error:  # a link to nowhere is listed like any other file
        if error.errno in FOR_A_WHILE:
            raise
        raise InputError(f"{file}: cannot be read ({error.strerror}): put it back, or remove its name") from None


def images(root: Path, wanted: Callable[[str], bool]) -> dict[str, dict[str, list[str]]]:
    """The images in the archives of a folder, by split and class, sorted by name; those of no class under "".

    What two archives have is taken from the last of them, as it would be unpacked.

    Args:
        root: The folder. The name of an archive says the split of what is in it (`ILSVRC2012_img_train.tar`,
            `train-00012.tar`), or folders in it do (`photos/train/<class>/a.jpg`).
        wanted: Whether a name is that of an image.

    Raises:
        InputError: An archive is damaged, compressed or of a kind that cannot be read in place, has an image of no
            split, or there are too many; or the cache cannot be written.
    """
    paths = (path for path in root.iterdir() if path.suffix in ENDINGS and not path.name.startswith("."))
    archives = sorted(str(path) for path in paths if path.is_file())
    if len(archives) > MOST_ARCHIVES:
        raise InputError(f"{root}: has {len(archives)} archives: make it {MOST_ARCHIVES} or fewer, which stay open")
    stats = tuple((archive, (stat := os.stat(archive)).st_size, stat.st_mtime_ns) for archive in archives)
    return _images(stats, wanted)


@lru_cache(maxsize=2)  # a data set is asked several times
def _images(stats: tuple[tuple[str, int, int], ...], wanted: Callable[[str], bool]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for archive, *stat in stats:
        for line in _index(archive, stat, wanted):
            split, *folder, name = line.partition("//")[0].split("/")
            if len(folder) < 2:  # as in a folder, where nobody looks deeper
                found.setdefault(split, {}).setdefault("".join(folder), {})[name] = f"{archive}//{line}"
    return {
        split: {folder: [names[name] for name in sorted(names)] for folder, names in folders.items()}
        for split, folders in found.items()
    }


def _index(archive: str, stat: list[int], wanted: Callable[[str], bool]) -> list[str]:
    """The index of an archive, from the cache: a line for each image, such as `train/n01440764/a.JPEG//1536+4096`."""
    key = ["archive", os.path.abspath(archive)]
    return cached(key, digest(stat), lambda: _made(archive, wanted)).tobytes().decode().splitlines()


def _made(archive: str, wanted: Callable[[str], bool]) -> np.ndarray:
    """The index of an archive, as UTF-8: uint8 [bytes]."""
    size, lines = os.stat(archive).st_size, []
    columns = (*Progress.get_default_columns(), DownloadColumn())
    with passing_bar(*columns) as progress:
        task = progress.add_task(f"index of {os.path.basename(archive)}", total=size)
        read = _of_zip if archive.endswith(".zip") else _of_tar
        for path, start, length, packed in read(archive, lambda at: progress.update(task, completed=at)):
            parts = [part for part in path.split("/") if part not in ("", ".")]
            if not wanted(parts[-1] if parts else "") or any(part.startswith((".", "__MACOSX")) for part in parts):
                continue
            if not path.isprintable():
                raise InputError(f"{archive}: has the name {shown(path)}: give it letters that can be printed")
            ending = f"z{packed}" if packed else ""
            lines.append(f"{'/'.join(_in_split(archive, parts))}//{start}+{length}{ending}\n")
    return np.frombuffer("".join(lines).encode(), np.uint8)


def _in_split(archive: str, parts: list[str]) -> list[str]:
    """The path of an image from its split on."""
    for depth, folder in enumerate(parts[:-1]):
        if folder in SPLITS:
            return parts[depth:]
    words = re.split(r"[\W_]+", os.path.basename(archive).lower())
    split = next((word for word in words if word in SPLITS), None)
    if split is None:
        raise InputError(
            f"{archive}: neither its name nor a folder in it says train, val or test: name it train.tar, for example"
        )
    return [split, *parts]


Found = Iterator[tuple[str, int, int, int]]  # name, first byte, bytes, bytes of a packed one or 0


def _of_zip(archive: str, at: Callable[[int], None]) -> Found:
    try:
        with zipfile.ZipFile(archive) as file, open(archive, "rb") as whole:
            for info in file.infolist():
                if info.is_dir():
                    continue
                if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise InputError(f"{archive}: {shown(info.filename)} is encrypted, or packed in an odd way: repack")
                whole.seek(info.header_offset)
                header = whole.read(30)
                if len(header) < 30 or header[:4] != b"PK\3\4":
                    raise zipfile.BadZipFile
                names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
                packed = info.compress_size if info.compress_type == zipfile.ZIP_DEFLATED else 0
                yield info.filename, info.header_offset + 30 + names, info.file_size, packed
                at(info.header_offset)
    except (zipfile.BadZipFile, NotImplementedError, EOFError):
        raise _damaged(archive) from None


def _of_tar(archive: str, at: Callable[[int], None]) -> Found:
    descriptor = os.open(archive, os.O_RDONLY)
    try:
        whole, inner = _Part(descriptor, 0, os.fstat(descriptor).st_size), []
        for name, start, length in _members(archive, whole):
            if name.endswith(".tar"):
                inner.append((name.removesuffix(".tar"), _Part(descriptor, start, length)))
            else:
                yield name, start, length, 0
                at(start)
        with ThreadPoolExecutor(READERS) as pool:
            for (folder, part), found in zip(inner, pool.map(partial(_inner, archive), inner), strict=True):
                at(part.start)
                for name, start, length in found:
                    yield name if name.startswith(f"{folder}/") else f"{folder}/{name}", start, length, 0
    finally:
        os.close(descriptor)


def _inner(archive: str, of: tuple[str, "_Part"]) -> list[tuple[str, int, int]]:
    return list(_members(f"{archive}: {of[0]}.tar", of[1]))


def _members(what: str, part: "_Part") -> Iterator[tuple[str, int, int]]:
    """Names, first bytes and lengths of the files of a tar.

    Raises:
        InputError: It is damaged, or compressed, or has links in place of images.
    """
    end = 0
    try:
        with tarfile.open(fileobj=cast(IO[bytes], part), mode="r:") as tar:  # it asks for no more than `_Part` has
            while info := tar.next():
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue] (undeclared; a kilobyte of each)
                if info.issym() or info.islnk() or info.issparse():
                    raise InputError(
                        f"{what}: {shown(info.name)} is a link, or sparse: make the tar with --dereference"
                    )
                end = info.offset_data + -(-info.size // BLOCK) * BLOCK if info.isreg() else info.offset_data
                if info.isreg():
                    yield info.name, part.start + info.offset_data, info.size
    except (tarfile.TarError, EOFError):
        raise _damaged(what) from None
    part.seek(end)
    if part.read(BLOCK) != bytes(BLOCK):  # which ends a tar
        raise _damaged(what)


def _damaged(what: str) -> InputError:
    return InputError(f"{what}: cut off or damaged, or no tar or zip file as its name says: get it again")


class _Part:
    """A part of a file, as a file to read. The file may be read elsewhere at the same time."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self.descriptor, self.start, self.length, self.position = descriptor, start, length, 0

    def read(self, size: int) -> bytes:
        """As of a file."""
        size = max(0, min(size, self.length - self.position))
        found = os.pread(self.descriptor, size, self.start + self.position)
        self.position += len(found)
        return found

    def seek(self, position: int) -> int:
        """To a place from the start."""
        self.position = position
        return position

    def tell(self) -> int:
        """Where it is."""
        return self.position


@cache  # while the process lives
def _opened(archive: str) -> int:
    return os.open(archive, os.O_RDONLY)
