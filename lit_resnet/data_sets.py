"""What is asked about a data set by modules that never import torch; all else is said by its object in `data.sources`.

A data set that is not named here is one whose images depend on the folder that `data.root` names, and whose images nets
see whole.
"""

from pathlib import Path
from typing import Any

DEFAULT = "cifar10"  # where a config says no data.source
PUBLISHED = ("digits", "cifar10", "cifar100", "fashion-mnist")  # the same images, whatever folder they lie in
PHOTOGRAPHS = ("imagenet",)  # nets see crops of their images, at several scales


def identity(source: Any, root: str) -> str | None:
    """What of `data.root` belongs to the identity of a run: the folder's name, or None for a published data set."""
    return None if source in (None, *PUBLISHED) else Path(root).name


def is_photographs(source: Any) -> bool:
    """Whether a config's `data.source` is a data set of photographs, whose test error is that of the centre crop."""
    return source in PHOTOGRAPHS
