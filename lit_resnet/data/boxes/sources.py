"""The table of formats of annotations. A new one is a class, in a file of its own, and an entry in `SOURCES`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lit_resnet.data.boxes import Annotations
from lit_resnet.data.boxes.coco import Coco
from lit_resnet.data.boxes.voc import Voc


class Source(Protocol):
    """A format of annotations. What is wrong with its files, `read` and `classes` say in an InputError."""

    @property
    def judged(self) -> str:
        """How a detector is judged while it trains: a name of `evaluation.detection.JUDGES`."""
        ...

    def classes(self, root: Path, sets: Sequence[str]) -> tuple[str, ...]:
        """The classes of these sets, in the order of the labels; ask with those to train on and to test on."""
        ...

    def read(self, root: Path, sets: Sequence[str], classes: Sequence[str] | None = None) -> Annotations:
        """The images and objects of these sets, with the labels of all `classes`; of theirs alone where it is None."""
        ...

    def name(self, train: Sequence[str], test: Sequence[str], root: Path) -> str:
        """What a data set is called in summaries and reports, by the sets that are trained on and tested on."""
        ...


SOURCES: dict[str, Source] = {"voc": Voc(), "coco": Coco()}
