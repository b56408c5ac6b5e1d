"""examples/: what is kept is read, and nothing of a stranger's is taken unchecked."""

import json
from pathlib import Path
from typing import Any

import pytest

from lit_resnet.errors import InputError
from lit_resnet.runfolder import examples
from lit_resnet.runfolder.examples import Detection, Example, Truth

EXAMPLE = Example(
    "BloodImage_00001",
    b"\xff\xd8 a JPEG",
    120,
    160,
    (Truth("cell", (1.0, 2.0, 30.25, 40.0)), Truth("cell", (0.0, 0.0, 5.0, 5.0), ignored=True)),
    (Detection("cell", (1.5, 2.0, 31.0, 41.0), 0.9375),),
)


def test_what_is_kept_is_read(tmp_path: Path):
    assert examples.read(tmp_path) == []
    others = [EXAMPLE, EXAMPLE._replace(name="empty", truth=(), found=())]
    examples.keep(tmp_path, others)
    assert examples.read(tmp_path) == others
    assert sorted(file.name for file in (tmp_path / "examples").iterdir()) == ["1.jpg", "2.jpg", "examples.json"]
    examples.keep(tmp_path, others[1:])
    assert examples.read(tmp_path) == others[1:]


def test_numbers_of_arrays_are_kept_as_numbers(tmp_path: Path):
    numpy = pytest.importorskip("numpy")
    box = tuple(numpy.array([1, 2, 3.123456, 4], numpy.float32))
    examples.keep(tmp_path, [EXAMPLE._replace(found=(Detection("cell", box, numpy.float32(0.5)),))])
    assert examples.read(tmp_path)[0].found == (Detection("cell", (1.0, 2.0, 3.12, 4.0), 0.5),)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"height": 0}, "height is 0"),
        ({"width": 10**9}, "width is 1000000000"),
        ({"width": 1.5}, "width is 1.5"),
        ({"name": ""}, "name is ''"),
        ({"truth": {}}, "truth is no list"),
        ({"truth": [["cell", [0, 0, 1, 1], 1]]}, "ignored is 1"),
        ({"truth": [["cell", [3, 0, 1, 1], False]]}, "a box is"),
        ({"found": [["cell", [0, 0, 1], 0.5]]}, "a box is"),
        ({"found": [["cell", [0, 0, 1, float("nan")], 0.5]]}, "a box is nan"),
        ({"found": [["cell", [0, 0, 1, 1e9], 0.5]]}, "a box is 1000000000.0"),
        ({"found": [["cell", [0, 0, 1, 1], 1.5]]}, "a score is 1.5"),
        ({"found": [["cell", [0, 0, 1, 1], True]]}, "a score is True"),
        ({"found": [[7, [0, 0, 1, 1], 0.5]]}, "a class is 7"),
        ({"found": [["cell", [0, 0, 1, 1], 0.5]] * 1001}, "found is no list of at most 1000"),
    ],
)
def test_a_wrong_entry_is_one_line(tmp_path: Path, wrong: dict[str, Any], words: str):
    examples.keep(tmp_path, [EXAMPLE])
    file = tmp_path / examples.NAME
    content = json.loads(file.read_text())
    content["examples"][0] |= wrong
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"examples\.json: damaged \({words}.*; remove the folder .*examples"):
        examples.read(tmp_path)


def test_files_that_are_missing_or_huge_are_one_line(tmp_path: Path):
    examples.keep(tmp_path, [EXAMPLE])
    with (tmp_path / "examples" / "1.jpg").open("wb") as file:
        file.truncate(examples.MOST_BYTES + 1)
    with pytest.raises(InputError, match=r"1\.jpg: damaged \(too large\)"):
        examples.read(tmp_path)
    (tmp_path / "examples" / "1.jpg").unlink()
    with pytest.raises(InputError, match=r"1\.jpg: damaged \(No such file"):
        examples.read(tmp_path)
    (tmp_path / examples.NAME).write_text('{"examples": 3}')
    with pytest.raises(InputError, match="examples is no list"):
        examples.read(tmp_path)


def test_too_much_is_not_kept(tmp_path: Path):
    with pytest.raises(ValueError, match="at most 100"):
        examples.keep(tmp_path, [EXAMPLE] * 101)
    with pytest.raises(ValueError, match="a JPEG of"):
        examples.keep(tmp_path, [EXAMPLE._replace(jpeg=bytes(examples.MOST_BYTES + 1))])
