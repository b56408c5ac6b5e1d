"""The model zoo: trained nets that come with the package, each a .safetensors file that is known by its name."""

import os
from pathlib import Path

from lit_resnet import files
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.runfolder.card import SUFFIX


def shipped() -> dict[str, Path]:
    """The file of each net, by its name."""
    folder = files.shipped("zoo", "results/zoo")
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def located(place: Path | str) -> Path:
    """A path as it is; of the name of a shipped net its file, unless there is something else of that name."""
    path = Path(place)
    return path if path.exists() else shipped().get(str(place), path)


def existing(place: Path | str) -> Path:
    """As `located`.

    Raises:
        InputError: There is neither.
    """
    path = located(place)
    if not os.path.exists(os.path.realpath(path)):
        raise InputError(f"{place}: no such run folder, nor file of weights, nor net of the model zoo{near(place)}")
    return path


def near(place: Path | str) -> str:
    """`; did you mean X?` for what may be a shipped net's name, mistyped; or that something else hides that net."""
    if not Path(place).exists():
        return did_you_mean(str(place), shipped())
    return "; it hides the net of the model zoo of that name" if str(place) in shipped() else ""
