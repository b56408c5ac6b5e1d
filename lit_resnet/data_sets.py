"""Facts about data sets for modules that never import torch; all others are in the objects of `data.sources`.

The images of a data set that is not named here depend on the folder `data.root`, and nets see them whole.
"""

from pathlib import Path
from typing import Any

DEFAULT = "cifar10"  # the data set of a config without data.source
# The same images, whatever folder they lie in; with the number of those to test on.
PUBLISHED = {"digits": 500, "cifar10": 10_000, "cifar100": 10_000, "fashion-mnist": 10_000}
EMBEDDED = ("digits",)  # which come with the packages, and need no folder
MOST_PIXELS = 8192  # of a side of an image
PHOTOGRAPHS = ("imagenet",)  # nets see crops of their images, at several scales


def identity(source: Any, root: str) -> str | None:
    """The part of `data.root` that belongs to a run's identity: the folder's name; None for a published data set."""
    return None if source in (None, *PUBLISHED) else Path(root).name


def is_photographs(source: Any) -> bool:
    """Whether a config's `data.source` is a data set of photographs, whose test error is that of the centre crop."""
    return source in PHOTOGRAPHS
