"""predictions.npy: kept with a run, and read back with care."""

from pathlib import Path

import numpy as np
import pytest

from lit_resnet.errors import InputError
from lit_resnet.runfolder import predictions

LABELS, CLASSES = np.array([0, 1, 2, 1]), np.array([0, 1, 1, 1])


def test_what_is_kept_is_read(tmp_path: Path):
    assert predictions.read(tmp_path, 25.0) is None
    predictions.keep(tmp_path, LABELS, CLASSES)
    found = predictions.read(tmp_path, 25.0)
    assert found is not None
    assert found.tolist() == np.stack([LABELS, CLASSES], 1).tolist()
    assert predictions.read(tmp_path, float("nan")) is not None, "of a run that diverged"
    assert predictions.read(tmp_path, None) is not None


@pytest.mark.parametrize(
    "content",
    [
        np.zeros((4, 3), np.uint16),
        np.zeros((0, 2), np.uint16),
        np.zeros((4, 2), np.int64),
        np.array([[{}, {}]], dtype=object),
    ],
)
def test_what_is_something_else_is_one_line(tmp_path: Path, content: np.ndarray):
    np.save(tmp_path / predictions.NAME, content)
    with pytest.raises(InputError, match=r"predictions.npy: damaged \(.*\); remove it, and nets are compared without"):
        predictions.read(tmp_path, 0.0)


def test_what_is_damaged_or_of_another_model_is_one_line(tmp_path: Path):
    file = tmp_path / predictions.NAME
    file.write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(InputError, match="damaged"):
        predictions.read(tmp_path, 0.0)
    predictions.keep(tmp_path, LABELS, CLASSES)
    with pytest.raises(InputError, match=r"25.00 % are wrong, and 80.00 % in summary.json"):
        predictions.read(tmp_path, 80.0)
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match="damaged"):
        predictions.read(tmp_path, 8.0)
