"""A full disk must not end a run: what cannot be written waits, and training goes on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lit_resnet.runfolder import FOR_A_WHILE


class Patience:
    """With the writing of one thing; says once that it fails, and once that it is over."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.waiting = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Pass over what a full disk, or a network's file system that is away, refuses; `waiting` tells of it."""
        try:
            yield
        except OSError as error:
            if error.errno not in FOR_A_WHILE:
                raise
            if not self.waiting:
                print(f"warning: {self.what}: {error.strerror}; the run goes on and tries again", file=sys.stderr)
            self.waiting = True
        else:
            if self.waiting:
                print(f"{self.what}: written again", file=sys.stderr)
            self.waiting = False
