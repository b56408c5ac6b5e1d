"""Arrays that take long to make, kept in files below `$XDG_CACHE_HOME` or `~/.cache`."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from lit_resnet.errors import InputError


def digest(content: Any) -> str:
    """A name of 32 hexadecimal digits for a value; values with different `repr` have different names."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def cached(key: Any, contents: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make` returns, or the one that the cache has.

    Of several processes that ask at the same time, one makes it and the others wait.

    Args:
        key: Which file of the cache it is; a value with a `repr`.
        contents: What the array is made of. A file made of other contents is replaced, and so is a damaged one.
        make: Makes the array.

    Raises:
        InputError: The file cannot be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit_resnet" / f"{digest(key)}.npz"
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(cache.with_suffix(".lock")):
            array = _read(cache, contents)
            if array is None:
                array = make()
                _write(cache, contents, array)
    except OSError as error:
        raise InputError(f"{cache}: {error.strerror}: set XDG_CACHE_HOME to a folder with room") from None
    return array


def _read(cache: Path, contents: str) -> np.ndarray | None:
    """The array; None where the file is missing, damaged (zip files have checksums) or of other contents."""
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            return arrays["array"] if arrays["contents"] == contents else None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _write(cache: Path, contents: str, array: np.ndarray) -> None:
    part = cache.with_suffix(".part")  # the caller holds the lock; the file is renamed when it is whole
    try:
        with part.open("wb") as file:
            np.savez(file, contents=contents, array=array)
        part.replace(cache)
    finally:
        part.unlink(missing_ok=True)
