"""The file with the weights that a run starts from (`model.start`), found and hashed without torch."""

import hashlib
from functools import lru_cache
from pathlib import Path

from lit_resnet.errors import InputError
from lit_resnet.files import open_file
from lit_resnet.runfolder.folder import RunFolder

WRITE = "write the folder of a finished run, or a file of weights as torchvision publishes them"


def weights_file(path: Path) -> Path:
    """The file with the weights that `model.start` names: it, or the last checkpoint of the finished run that it names.

    Reads no weights, so that it answers at once.

    Raises:
        InputError: There is no such file and no such run, or the run is not finished.
    """
    if path.is_file():
        return path
    run = RunFolder(path)
    if not run.config_file.is_file():
        raise InputError(f"{path}: {'no run here' if path.exists() else 'there is no such folder or file'}; {WRITE}")
    if run.summary() is None:
        status = run.status()
        raise InputError(
            f"{path}: not finished (iteration {status.step:,} of {status.max_steps:,}): only the net of a finished run "
            "can be started from; continue that run first"
        )
    last = run.checkpoints / "last.ckpt"
    if not last.is_file():
        raise InputError(f"{last}: is missing, so that there are no weights to start from; put a copy back")
    return last


def weights_digest(path: Path) -> str:
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
