"""The two newest checkpoints of a run, written so that one of them is whole whatever happens."""

import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from lit_resnet.runfolder import RunFolder
from lit_resnet.training.disk import Patience


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's way to write: here to last.ckpt, what was there before to previous.ckpt.

    With several devices it is the first one's, alone.

    Attributes:
        flush: What must be on the disk before a checkpoint is, for a resume to be without gaps; None for nothing.
        patience: Whether a full disk puts a checkpoint off; `patience.waiting` tells that it did.
    """

    def __init__(self, folder: RunFolder, flush: Callable[[], None]) -> None:
        self.last, self.previous = (folder.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
        self.flush = flush
        self.patience = Patience("the checkpoint")

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write and rename; the path is known."""
        new = self.last.with_name("new.ckpt")
        with self.patience.writing():
            self.flush()
            content = io.BytesIO()  # torch.save to a file tells of a full disk in words of its own
            torch.save(checkpoint, content)
            try:
                with new.open("wb") as file:
                    file.write(content.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())  # a machine may lose its power
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
