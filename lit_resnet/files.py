"""Files that are never half there, whatever happens to the process, the machine or the disk."""

import errno
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

# What a full disk says, and a network's file system that is away for a while: to be tried again.
FOR_A_WHILE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def append_whole(path: Path, text: str) -> None:
    """Append all of `text`, or nothing: of what a full disk took only a part, nothing stays.

    It is on the disk then, so that a checkpoint which is written after it does not survive it when the power fails.
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


def clock(folder: Path) -> float:
    """The present, in seconds since the epoch, by the clock that dates the files in `folder`.

    It is the same for all machines that share the folder; this machine's own where nothing can be written there.
    """
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".clock") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
