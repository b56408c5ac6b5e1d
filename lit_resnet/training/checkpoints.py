"""The two newest checkpoints of a run, written so that one of them is whole whatever happens."""

import io
import os
import sys
import zipfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from lit_resnet.errors import InputError
from lit_resnet.files import open_file
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lock import confirm
from lit_resnet.training.disk import Disk
from lit_resnet.training.weights import read_torch, reason


class CheckpointFiles(TorchCheckpointIO):
    """Writes Lightning's checkpoints to last.ckpt; the checkpoint that was there before becomes previous.ckpt.

    Of several devices the first one writes, while the others wait for it: a full disk must not raise an error on one
    device that the others do not know of.

    Args:
        folder: The run's folder.
        disk: The disk of the run. A checkpoint that does not fit on it is left out, and training goes on.
        flush: Writes what was measured so far; called before each checkpoint, as a resume would not measure it again.
    """

    def __init__(self, folder: RunFolder, disk: Disk, flush: Callable[[], None]) -> None:
        self.last, self.previous = (folder.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
        self.folder, self.disk, self.flush = folder.path, disk, flush
        self.insisting = False  # whether to try until it is written: for the last checkpoint of a run

    @property
    def refused(self) -> bool:
        """Whether the newest checkpoint could not be written."""
        return str(self.last) in self.disk.refused

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write and rename the run's checkpoint. One with another path is a callback's: written there, as always."""
        if Path(path) != self.last:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        if self.insisting:
            self.disk.insist(str(self.last), partial(self._write, checkpoint))
            return
        with self.disk.patient(str(self.last)):
            self._write(checkpoint)

    def _write(self, checkpoint: dict[str, Any]) -> None:
        self.flush()
        new = self.last.with_name("new.ckpt")
        content = io.BytesIO()  # if the disk is full, torch.save to a file raises another error than OSError
        torch.save(checkpoint, content)
        confirm(self.folder)
        try:
            with new.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())  # without this, the renamed file may be empty after a power failure
        except OSError:
            new.unlink(missing_ok=True)
            raise
        confirm(self.folder)  # a large checkpoint takes long to write
        if self.last.exists():
            os.replace(self.last, self.previous)
        os.replace(new, self.last)


def newest_checkpoint(folder: RunFolder, keys: Collection[str] = ("state_dict",)) -> Path | None:
    """The newest whole checkpoint that has these keys, or None where the run has none at all.

    One that cannot be used is passed over, with a warning.

    Args:
        folder: The run's folder.
        keys: What the caller needs of it; `RESUMED` to go on training.

    Raises:
        InputError: No checkpoint of the run can be used.
    """
    paths = (folder.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
    there = [path for path in paths if os.path.lexists(path)]
    said = []
    for path in there:
        if not (wrong := _wrong(path, keys)):
            for words in said:
                print(f"warning: {words}: using the checkpoint before it", file=sys.stderr)
            return path
        said.append(f"{path} {wrong}")
    if there:
        raise InputError(f"{'; '.join(said)}; put a copy back, or move {folder.checkpoints} away to train the run anew")
    return None


# The keys of a checkpoint without which a run cannot go on: Lightning's, and those that `Iterations` adds.
RESUMED = ("state_dict", "optimizer_states", "loops", "callbacks", "global_step", "data", "rate", "windows")


def _wrong(path: Path, keys: Collection[str]) -> str:
    """Why a checkpoint cannot be used; empty if it can. It is a zip file with checksums, so a whole one is known."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                return "is damaged"
    except OSError as error:
        return f"is not a checkpoint that can be read ({reason(error)})"
    except Exception:  # zipfile and zlib have as many as there are ways to damage a file
        return "is damaged"
    try:
        found = read_torch(path, mmap=True)
    except (OSError, ValueError) as error:
        return f"is not a checkpoint that can be read ({reason(error)})"
    missing = [key for key in keys if key not in found]
    return f"is of another version of lit-resnet, without {', '.join(missing)}" if missing else ""
