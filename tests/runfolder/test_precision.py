"""precision.csv: what is kept is read, and what cannot be such a file is refused in one line."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from lit_resnet.errors import InputError
from lit_resnet.grid import exhibits
from lit_resnet.runfolder import precision
from lit_resnet.runfolder.precision import POINTS
from lit_resnet.runfolder.records import ANALYSES, PRECISION
from lit_resnet.runfolder.summary import Summary

FALLING = [round(1 - point / 200, 3) for point in range(POINTS)]


def test_what_is_kept_is_read(tmp_path: Path):
    assert precision.read(tmp_path) == {}
    curves = {"bird": FALLING, "table, small": [0.0] * POINTS, 'a "b"': [1.0] * POINTS}
    precision.keep(tmp_path, curves)
    assert precision.read(tmp_path) == curves
    lines = PRECISION.file(tmp_path).read_text().splitlines()
    assert lines[:3] == ["class,point,name,recall,precision", "0,0,bird,0,1", "0,1,bird,0.01,0.995"]
    precision.keep(tmp_path, {"one\nline": FALLING})
    assert list(precision.read(tmp_path)) == [r"one\nline"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("0,5,bird", "0,5,bard"), "class 0 has not the points 0 to 100"),
        (lambda text: "\n".join(text.splitlines()[:50]) + "\n", "class 0 has not the points 0 to 100"),
        (lambda text: text.replace("bird,0.01,", "bird,0.02,"), "other recalls"),
        (lambda text: text + text.replace("\n0,", "\n1,").partition("\n")[2], "class 1 stands twice"),
        (lambda text: text.replace("0.995", "1.5"), "not a row"),
        (lambda text: text.replace("0.995", "nan"), "not a row"),
        (lambda text: text.replace("0.995", ""), "not a row"),
    ],
)
def test_what_is_damaged_is_one_line(tmp_path: Path, change: Callable[[str], str], words: str):
    precision.keep(tmp_path, {"bird": FALLING})
    file = PRECISION.file(tmp_path)
    file.write_text(change(file.read_text()))
    with pytest.raises(InputError, match=rf"precision\.csv.*damaged \(.*{words}.*\); remove it"):
        precision.read(tmp_path)


def test_in_w_and_b_nothing_else_has_the_name_of_a_table():
    names = [record.mirrored or record.name for record in ANALYSES]
    assert not {*names} & {*(field.name for field in fields(Summary)), *exhibits.FIGURES}
