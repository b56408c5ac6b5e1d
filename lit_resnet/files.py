"""Files: written whole whatever happens to the process, the machine or the disk; YAML and JSON read in one place."""

import errno
import io
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

import lit_resnet
from lit_resnet.errors import InputError

# Errors of a full disk, and of a network's file system that is away for a while: worth trying again.
FOR_A_WHILE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)

STALE_TRIES = 5

# Limits of a YAML text. A grid of 10,000 cells that are listed one by one has 0.7 MB and 60,000 values.
MOST_BYTES, MOST_VALUES, DEEPEST = 16 << 20, 1_000_000, 50


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    The content is on the disk before the name is: a power failure leaves no empty file behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def append_whole(path: Path, text: str) -> None:
    """Append all of `text`, or nothing: where the disk fills up midway, the part is cut off again.

    The text is on the disk before this returns: no checkpoint that is written later can outlive it in a power failure.
    """
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        content = text.encode()
        try:
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(before)
            raise


def open_file(path: Path | str) -> io.BufferedReader:
    """Open a file to read its bytes. Opening a pipe, which a folder from elsewhere may hold, would wait for ever.

    Raises:
        OSError: It cannot be read, or is no file.
    """
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_file(path: Path) -> bytes:
    """All bytes of a file; on NFS, of the new one where another machine has replaced it meanwhile.

    Raises:
        OSError: As `open_file`.
    """
    for _ in range(STALE_TRIES - 1):
        try:
            return _read(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return _read(path)


def _read(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read()


def shipped(name: str, in_checkout: str) -> Path:
    """A folder that comes with the package: inside it where it is installed, else where a checkout has it.

    Args:
        name: Of the folder inside an installed package.
        in_checkout: Its path in a checkout.
    """
    package = Path(lit_resnet.__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / in_checkout


def clock(folder: Path) -> float:
    """The current time, in seconds since the epoch, by the clock that dates the files in `folder`.

    All machines that share the folder see the same time. Where nothing can be written, it is this machine's own.
    """
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".clock") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


MERGE, TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"  # YAML's tag of the key `<<`, and of texts
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(_SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently take the second; and reads 1e-4 as a number.

    12:30 is a text, where YAML 1.1 reads a number to the base of 60, and 12:00 as 720.

    Of mappings that are merged (`<<: [*one, *other]`) the first that has a key counts, as YAML says. PyYAML 6.0.4 takes
    the last.
    """

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        tag = super().resolve(kind, value, implicit)
        return TEXT if kind is yaml.ScalarNode and tag in NUMBERS and ":" in value else tag

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        own = [pair for pair in node.value if pair[0].tag != MERGE]
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        for source in (source for key, value in node.value if key.tag == MERGE for source in _sources(value)):
            self.flatten_mapping(source)
            known = {_name(key) for key, _ in [*own, *merged]}
            merged += [pair for pair in source.value if _name(pair[0]) not in known]
        node.value = merged + own

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == MERGE:
                continue
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.YAMLError(f"key {name} stands twice (line {key.start_mark.line + 1})")
            seen.add(name)
        return super().construct_mapping(node, deep)


def _name(key: yaml.Node) -> object:
    """What tells a key from others; a key that is no plain value is like no other."""
    return key.value if isinstance(key, yaml.ScalarNode) else id(key)


def _sources(value: yaml.Node) -> list[yaml.MappingNode]:
    """The mappings that `<<` names: one, or a list."""
    named = value.value if isinstance(value, yaml.SequenceNode) else [value]
    found = [one for one in named if isinstance(one, yaml.MappingNode)]
    if len(found) < len(named):
        raise yaml.constructor.ConstructorError(None, None, "<< merges mappings alone", value.start_mark)
    return found


# Without this `1e-4` is a text: YAML 1.1 wants a dot and a sign, `1.0e-4`.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+", re.ASCII), list("-+.0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """Read a YAML text, which may come from strangers.

    Args:
        text: The text.
        where: The name of the text in error messages: a path, or `--set KEY`.

    Raises:
        InputError: It is not YAML, has an impossible value (the 45th of a month), or is too large: longer
            than `MOST_BYTES`, deeper than `DEEPEST`, or of more values than `MOST_VALUES` with all aliases written out.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"{where}: is longer than {MOST_BYTES >> 20} MiB, which no config or grid is")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}, 0) > MOST_VALUES:
            raise InputError(f"{where}: has more than {MOST_VALUES:,} values (aliases count as often as they stand)")
        return loader.construct_document(node)
    except RecursionError:
        raise InputError(f"{where}: is nested too deep: write at most {DEEPEST} levels") from None
    except yaml.YAMLError as error:
        mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        line = f" (line {mark.line + 1})" if mark else ""
        raise InputError(f"{where}: not YAML: {' '.join(said.split())}{line}") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{where}: has a value that YAML cannot read ({words}): put it in quotes") from None
    finally:
        if loader:
            loader.dispose()


def _values(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """The number of values below a node, with aliases written out; `known` has it for the nodes counted before."""
    if depth > DEEPEST:
        raise RecursionError
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MOST_VALUES  # too many, for a node that contains itself
    if isinstance(node, yaml.ScalarNode) and (wrong := re.search("[\\0\ud800-\udfff]", node.value)):
        raise ValueError(f"the letter {wrong[0]!r}, which no name of a file can have")
    children: Iterable[yaml.Node] = ()
    if isinstance(node, yaml.MappingNode):
        children = chain.from_iterable(node.value)
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[id(node)] = 1 + sum(_values(child, known, depth + 1) for child in children)
    return known[id(node)]


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: It cannot be read, is not YAML, or is no mapping.
    """
    try:
        content = parse_yaml(read_file(path).decode(), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not YAML: {error}") from None
    except OSError as error:
        if error.errno in FOR_A_WHILE:
            raise
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a mapping of keys to values")
    return content


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None where there is no file.

    Raises:
        InputError: It is not JSON, or no object.
        OSError: It is not for us to read, or the file system is away (`FOR_A_WHILE`): that says nothing against it.
    """
    try:
        return parse_json(read_file(path))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):  # a link to itself leads nowhere
            return None
        if error.errno in (*FOR_A_WHILE, errno.EACCES, errno.EPERM):
            raise
    except ValueError:
        pass
    raise InputError(f"{path}: damaged; move it away")


def parse_json(content: bytes) -> dict[str, Any]:
    """Read a JSON object, which may come from strangers.

    Raises:
        ValueError: It is not JSON, or no object.
    """
    try:
        value = json.loads(content.decode())
        json.dumps(value, ensure_ascii=False).encode()  # half a letter, which JSON can hold, can nowhere be written
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value
