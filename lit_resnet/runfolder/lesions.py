"""lesions.csv: the test error of a run's newest checkpoint, whole and without some of its blocks."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lit_resnet.errors import InputError, shown
from lit_resnet.runfolder.records import LESIONS
from lit_resnet.runfolder.start import weights_digest

KEPT, CHANGED = "kept", "changed"  # what a block does to the dimensions of a map


@dataclass(frozen=True)
class Lesion:
    """The test error of a net without some of its blocks.

    Args:
        blocks: Names of the blocks, in their order; none of the whole net.
        keeps: Whether all of them keep dimensions.
        error: Test error in percent.
    """

    blocks: tuple[str, ...]
    keeps: bool
    error: float

    @property
    def removed(self) -> int:
        """How many blocks it is without."""
        return len(self.blocks)


def keep(folder: Path, checkpoint: str, lesions: Iterable[Lesion]) -> None:
    """Replace the file.

    Args:
        folder: That of the run.
        checkpoint: SHA-256 of the file with the weights.
        lesions: The whole net, each block alone in the order of the net, and then several at once, fewer first.

    Raises:
        OSError: As `writing.replace`.
    """
    rows, draws = [], Counter[int]()
    for lesion in lesions:
        draws[lesion.removed] += 1
        words = {"dimensions": KEPT if lesion.keeps else CHANGED, "blocks": " ".join(lesion.blocks)}
        numbers = {"removed": lesion.removed, "draw": draws[lesion.removed], "error": lesion.error}
        rows.append(numbers | words | {"checkpoint": checkpoint})
    LESIONS.replace(folder, rows)


def read(folder: Path) -> list[Lesion]:
    """What was measured of the newest checkpoint of a finished run, the whole net first; none where nothing was.

    Nothing is shown of earlier weights. Where the weights are gone, nothing can have followed them.

    Raises:
        InputError: The file is damaged.
    """
    rows = LESIONS.read(folder)
    found = [Lesion(tuple(row["blocks"].split()), row["dimensions"] == KEPT, row["error"]) for row in rows]
    if [lesion.removed for lesion in found] != [row["removed"] for row in rows] or (found and found[0].removed):
        raise LESIONS.damaged(folder, "blocks are missing")
    if wrong := next((row["dimensions"] for row in rows if row["dimensions"] not in (KEPT, CHANGED)), None):
        raise LESIONS.damaged(folder, f"dimensions are {shown(wrong)}")
    try:
        newest = weights_digest(str(folder)) if rows else ""
    except InputError:
        return found
    return found if all(row["checkpoint"] == newest for row in rows) else []
