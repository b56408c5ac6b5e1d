"""Scores on disk: what is averaged by protocols and ensembles, so that no net sees an image twice in the same view."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE, read_json, write_whole

BLOCK = 16  # images that are read, and whose rows are written, at once: what a kill loses at most


class ScoresFile:
    """Scores of all images in one view: `<view>.npy`, float32 [N, classes], and `<view>.json`, which says what of.

    While it is made it is `<view>.part`: the header of the whole array and the rows so far, appended block by block. So
    an evaluation that was killed goes on where it was. The JSON is there first, and what does not belong to it is
    removed before it is written; scores are therefore always of what stands beside them.

    A row of -1 is an image that could not be read.

    Args:
        path: Of the .npy file.
        shape: (N, classes).
        origin: What the scores depend on: weights, images, view. Scores of another origin are made anew.
    """

    def __init__(self, path: Path, shape: tuple[int, int], origin: dict[str, Any]) -> None:
        self.path, self.shape, self.origin = path, shape, origin
        self._json, self._part = path.with_suffix(".json"), path.with_suffix(".part")
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self._header = header.getvalue()
        self.rows = 0  # that are written

    def read(self) -> np.ndarray | None:
        """The scores, as a map of the file; None where they are not all there, or not those that are wanted."""
        if not self._is_wanted():
            return None
        try:
            found = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if isinstance(found, np.ndarray) and (found.shape, found.dtype) == (self.shape, "<f4") else None

    def begin(self) -> None:
        """Go on after the blocks that are there, or begin anew.

        Raises:
            InputError: The folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._is_wanted() or not self._part_begins_well():
                for path in (self.path, self._part, self._json):
                    path.unlink(missing_ok=True)
                write_whole(self._json, json.dumps(self.origin, indent=1) + "\n")
                self._part.write_bytes(self._header)
            row = 4 * self.shape[1]
            there = (self._part.stat().st_size - len(self._header)) // row
            self.rows = min(there, self.shape[0]) // BLOCK * BLOCK
            os.truncate(self._part, len(self._header) + self.rows * row)
        except OSError as error:
            raise self._unwritable(error) from None

    def append(self, rows: Tensor) -> None:
        """Append the next rows, float32 [n, classes], as one write.

        Raises:
            InputError: The disk is full.
        """
        try:
            with self._part.open("ab") as file:
                file.write(rows.numpy().astype("<f4", copy=False).tobytes())
        except OSError as error:
            raise self._unwritable(error) from None
        self.rows += len(rows)

    def finish(self) -> None:
        """All rows are there: give the file its name."""
        self._part.replace(self.path)

    def _is_wanted(self) -> bool:
        try:
            return read_json(self._json) == self.origin
        except InputError:
            return False

    def _part_begins_well(self) -> bool:
        try:
            with self._part.open("rb") as file:
                return file.read(len(self._header)) == self._header
        except FileNotFoundError:
            return False

    def _unwritable(self, error: OSError) -> Exception:
        if error.errno in FOR_A_WHILE:
            return error  # a run that is judged tries again
        return InputError(f"{self.path}: cannot be written ({error.strerror}); make room, and evaluate again")
