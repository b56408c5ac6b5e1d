"""YAML from strangers: refused in one line, at once."""

import ast
import errno
import os
import time
from pathlib import Path

import pytest

import lit_resnet
from lit_resnet import files
from lit_resnet.errors import InputError
from lit_resnet.files import parse_yaml, read_json, read_yaml, write_whole

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "more than 1,000,000 values"),
        ("&a [*a, *a]", "more than 1,000,000 values"),
        ("[" * 5000 + "]" * 5000, "nested too deep|not YAML"),
        ("x: " + "{a: " * 60 + "1" + "}" * 60, "nested too deep"),
        ("x: 2026-13-45", "put it in quotes"),
        ("x: " + "9" * 5000, "put it in quotes"),
        ("x: !!int x", "put it in quotes"),
        ("x: !!bool x", "put it in quotes"),
        ("x: !!timestamp x", "put it in quotes"),
        ("x: !!python/object/apply:os.abort []", "not YAML"),
        ("{[1, 2]: 3}", "not YAML|put it in quotes"),
        ("a: 1\nb: 2\na: 3", r"key a stands twice \(line 3\)"),
        ("a: [", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("\0", "not YAML"),
    ],
)
def test_what_yaml_cannot_be_is_one_line(text: str, words: str):
    started = time.monotonic()
    with pytest.raises(InputError, match=f"^mine.yaml: .*({words})") as caught:
        parse_yaml(text, "mine.yaml")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 10


def test_a_long_number_is_read_at_once():
    """What looks for 1e-4 must not try each part of a number."""
    started = time.monotonic()
    assert parse_yaml("x: " + "9" * 200_000 + "x", "here")["x"].startswith("999")
    assert parse_yaml("[1e-4, 1.5e3, .5E+2, -1e4, 1.e2]", "here") == [1e-4, 1500, 50, -1e4, 100]
    assert time.monotonic() - started < 10


def test_a_time_of_day_is_a_text():
    """Of YAML 1.1 they are numbers to the base of 60."""
    assert parse_yaml("[12:00, 1:30:00, 1:30.5, '7', 7]", "here") == ["12:00", "1:30:00", "1:30.5", "7", 7]


def test_what_cannot_be_read_for_a_while_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "status.json"
    path.write_text('{"a": 1}')
    whole, errors = files.open_file, [errno.ESTALE, errno.ESTALE]

    def open_file(path: Path):
        if errors:
            raise OSError(errors.pop(), "it is away", str(path))
        return whole(path)

    monkeypatch.setattr(files, "open_file", open_file)
    assert read_json(path) == {"a": 1}, "another machine had replaced it"
    for number in (errno.EIO, errno.EACCES):
        errors.append(number)
        with pytest.raises(OSError, match="it is away"):
            read_json(path)
    errors.append(errno.EISDIR)
    with pytest.raises(InputError, match="damaged; move it away"):
        read_json(path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    pipe, loop, folder = tmp_path / "pipe", tmp_path / "loop", tmp_path / "folder"
    os.mkfifo(pipe)
    loop.symlink_to("loop")
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(InputError, match="damaged"):
            read_json(path)
        with pytest.raises(InputError, match="cannot be read"):
            read_yaml(path)
    assert read_json(loop) is None


def test_half_a_letter_is_no_text(tmp_path: Path):
    """JSON and YAML have words for it, but nothing can write it."""
    with pytest.raises(InputError, match="no name of a file|invalid Unicode"):
        parse_yaml(r'x: "\ud800"', "here")
    (tmp_path / "x.json").write_text(r'{"x": "\ud800"}')
    with pytest.raises(InputError, match="damaged"):
        read_json(tmp_path / "x.json")


def test_text_is_utf_8_whatever_the_locale():
    """Every text that the package reads or writes says so."""
    found = []
    for path in Path(lit_resnet.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                binary = any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in node.args)
                other = ast.unparse(node.func).startswith(("os.", "Image.", "self.", "tarfile."))
                text = name in ("read_text", "write_text") or (name == "open" and not binary and not other)
                if text and "encoding" not in {keyword.arg for keyword in node.keywords}:
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_of_merged_mappings_the_first_that_has_a_key_counts():
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: &c {<<: [*a, *b], y: 5}\nd: {<<: [*b, *c]}"
    found = parse_yaml(text, "here")
    assert found["c"] == {"x": 1, "y": 5, "z": 2}
    assert found["d"] == {"x": 2, "y": 5, "z": 2}
    for wrong in ("a: {<<: 3}", "a: {<<: [{x: 1}, 3]}"):
        with pytest.raises(InputError, match=r"here: not YAML: << merges mappings alone \(line 1\)"):
            parse_yaml(wrong, "here")


def test_anchors_and_merges_are_yaml():
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]", "here") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }
    assert parse_yaml("", "here") is None


def test_files_that_are_no_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "x.yaml"
    for content, words in ((b"- 1", "not a mapping"), (b"", "not a mapping"), (b"a: \xff", "not YAML")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_yaml(file)
    file.write_text("a: 1")
    monkeypatch.setattr(files, "MOST_BYTES", 3)
    with pytest.raises(InputError, match="longer than"):
        read_yaml(file)
    file.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match="damaged"):
        read_json(file)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "status.json"
    write_whole(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
