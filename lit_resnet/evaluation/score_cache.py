"""Scores on disk, which protocols and ensembles average: no net is shown an image twice in the same view."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE, read_json, write_whole

PORTION = 16  # images that are read, and whose rows are written, at once: what a kill loses at most


class ScoresFile:
    """The scores of all images in one view: `<view>.npy`, float32 [N, classes]; `<view>.json` says what they depend on.

    While the scores are made, their file is `<view>.part`: the header of the whole array and the rows so far, to which
    portions are appended. So an evaluation that was killed continues where it was. The JSON is written first, after
    files that belong to another one were removed: scores are always those of the JSON beside them.

    A row of -1 is an image that could not be read.

    Args:
        path: The .npy file.
        shape: (N, classes).
        origin: What the scores depend on: weights, images, view. Scores of another origin are made again.
    """

    def __init__(self, path: Path, shape: tuple[int, int], origin: dict[str, Any]) -> None:
        self.path, self.shape, self.origin = path, shape, origin
        self._json, self._part = path.with_suffix(".json"), path.with_suffix(".part")
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self._header = header.getvalue()
        self.rows = 0  # how many are written

    def read(self) -> np.ndarray | None:
        """The scores, as a memory map; None where they are incomplete, damaged, or of another origin."""
        if not self._is_wanted():
            return None
        try:
            found = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if isinstance(found, np.ndarray) and (found.shape, found.dtype) == (self.shape, "<f4") else None

    def begin(self) -> None:
        """Continue after the portions that are there, or start again.

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
            self.rows = min(there, self.shape[0]) // PORTION * PORTION
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
        """Give the file its final name, now that all rows are there."""
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
            return error  # the run that is being judged tries again later
        return InputError(f"{self.path}: cannot be written ({error.strerror}); make room, and evaluate again")
