"""predictions.npy: what the last model took each test image for, so that nets can be compared image by image."""

from pathlib import Path

import numpy as np

from lit_resnet.errors import InputError
from lit_resnet.files import read_file
from lit_resnet.runfolder import arrays, writing

NAME, DTYPE = "predictions.npy", "<u2"
MOST_BYTES = 2**28  # of the file: 67 million images
# By how much the error of these predictions may differ from the logged one, in percent of the images, or by two images:
# a net in another memory layout, or not compiled, gives other last bits, and another class where two are nearly equal.
APART = 0.5


def keep(folder: Path, labels: np.ndarray, classes: np.ndarray) -> None:
    """Write the file: uint16 [N, 2], the class of each test image and what it was taken for.

    Raises:
        OSError: As `writing.replace`.
    """
    writing.replace(folder / NAME, arrays.content(np.stack([labels, classes], 1), DTYPE))


def read(folder: Path, test_error: float | None) -> np.ndarray | None:
    """The content of the file; None where there is none.

    Args:
        folder: That of the run.
        test_error: The logged error, in percent, which the predictions have to give.

    Raises:
        InputError: The file is damaged, or of another model.
    """
    try:
        if (folder / NAME).stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        found = arrays.parsed(read_file(folder / NAME), DTYPE, 2)
        wrong = 100 * float(np.mean(found[:, 0] != found[:, 1]))
        if test_error is not None and abs(wrong - test_error) > max(APART, 200 / len(found)):
            raise ValueError(f"{wrong:.2f} % are wrong, and {test_error:.2f} % in summary.json")
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder / NAME}: damaged ({reason}); remove it, and nets are compared without it") from None
