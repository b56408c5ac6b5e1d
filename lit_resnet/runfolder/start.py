"""The file with the weights that a run starts from (`model.start`), found and hashed without torch."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from lit_resnet.errors import InputError
from lit_resnet.files import open_file
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.started import Started
from lit_resnet.runfolder.zoo import located, near


def absent(path: str) -> str:
    """Why there are no weights yet in the file or run folder that `model.start` names; empty where there are.

    Reads no weights, so that it answers at once.

    Raises:
        InputError: The summary or status of the run is damaged.
    """
    place = located_weights(path)
    if place.is_file():
        return ""
    run = RunFolder(place)
    if not run.config_file.is_file():
        return "no run (config.yaml is missing)" if place.exists() else "missing"
    if run.summary() is None:
        status = run.status()
        return f"not finished (iteration {status.step:,} of {status.max_steps:,})"
    return "" if _last(run).is_file() else f"without its weights ({_last(run).name} is missing)"


def located_weights(path: str) -> Path:
    """The run folder or file that `model.start` names, with `~` written out where there is such a user."""
    return located(os.path.expanduser(path))


def weights_file(path: str) -> Path:
    """The file with the weights that `model.start` names: it, or the last checkpoint of the finished run that it names.

    Raises:
        InputError: There is no such file and no such run, or the run is not finished.
    """
    if why := absent(path):
        raise InputError(
            f"{path}: {why}; write the folder of a finished run, a file of weights as torchvision publishes them or "
            f"lit-resnet export writes them, or a name that lit-resnet zoo lists{near(path)}"
        )
    place = located_weights(path)
    return place if place.is_file() else _last(RunFolder(place))


def _last(run: RunFolder) -> Path:
    return run.checkpoints / "last.ckpt"


def weights_digest(path: str) -> str:
    """SHA-256 of the file with the weights that `model.start` names.

    Raises:
        InputError: As `weights_file`; or the file cannot be read.
    """
    file = weights_file(path)
    try:
        stat = file.stat()
        return _digest(file.resolve(), stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None


@lru_cache(maxsize=64)
def _digest(file: Path, time: int, size: int) -> str:
    """A digest, once for all cells that start from one file."""
    with open_file(file) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def started_otherwise(started: Started, path: str) -> str:
    """How the weights that are at `path` now differ from those that a run started from.

    Returns:
        The first digits of both digests; the empty string where they are the same, or where none are there any more.
    """
    try:
        now = weights_digest(path)
    except InputError:
        return ""
    if now == started.digest:
        return ""
    return f"started from other weights than {path} has now (SHA-256 {started.digest[:12]}, not {now[:12]})"
