"""The table of formats of annotations. A new one is a class, in a file of its own, and an entry in `SOURCES`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lit_resnet.data.boxes import Annotations
from lit_resnet.data.boxes.checks import check_images, check_sets
from lit_resnet.data.boxes.coco import Coco
from lit_resnet.data.boxes.voc import Voc
from lit_resnet.errors import did_you_mean, shown


class Source(Protocol):
    """A format of annotations. What is wrong with its files, `read` and `classes` say in an InputError."""

    @property
    def judged(self) -> str:
        """How a detector is judged while it trains: a name of `evaluation.detection.JUDGES`."""
        ...

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols of `evaluation.detection.JUDGES` that a config or `evaluate` may name for its data."""
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


def find(name: str) -> Source:
    """The format of that name.

    Raises:
        ValueError: There is none; the message says which there are, and the nearest one.
    """
    if name not in SOURCES:
        raise ValueError(f"data.source is {shown(name)}: write {' or '.join(SOURCES)}{did_you_mean(name, SOURCES)}")
    return SOURCES[name]


def read(source: Source, root: Path, train: Sequence[str], test: Sequence[str]) -> tuple[Annotations, Annotations]:
    """The images to train on and those to test on, with the same classes.

    Raises:
        InputError: Something in the files is wrong, or an image is in both.
    """
    check_sets(train, test)
    classes = source.classes(root, [*train, *test])
    found = source.read(root, train, classes), source.read(root, test, classes)
    check_images(*found)
    return found
