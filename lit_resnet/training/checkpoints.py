"""The two newest checkpoints of a run, written so that one of them is whole whatever happens."""

import io
import os
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.disk import Disk


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
        self.disk, self.flush = disk, flush
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
        try:
            with new.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())  # without this, the renamed file may be empty after a power failure
        except OSError:
            new.unlink(missing_ok=True)
            raise
        if self.last.exists():
            os.replace(self.last, self.previous)
        os.replace(new, self.last)


def newest_checkpoint(folder: RunFolder) -> Path | None:
    """The newest whole checkpoint, or None where the run has none. A damaged one is passed over, with a warning."""
    for name in ("last", "previous"):
        path = folder.checkpoints / f"{name}.ckpt"
        if path.exists():
            if _whole(path):
                return path
            print(f"warning: {path} is damaged: using the checkpoint before it, if there is one", file=sys.stderr)
    return None


def _whole(path: Path) -> bool:
    """Whether a checkpoint, which is a zip file with checksums, is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
