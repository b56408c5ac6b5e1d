"""`lit-resnet logs`: what runs have printed, and what they print while somebody follows them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import make_summary

from lit_resnet.cli import main
from lit_resnet.runfolder.folder import RunFolder


@pytest.fixture
def grid(tmp_path: Path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("data: {source: digits}\n")
    Path("mine.yaml").write_text("base: base.yaml\ninclude: {a: {}, b: {}}\n")
    for cell in ("a", "b"):
        folder = RunFolder(f"runs/mine/{cell}-seed0")
        folder.path.mkdir(parents=True)
        folder.log_file.write_text(f"{cell} one\n{cell} \x1b[31mtwo\nhalf a li")
    return "mine.yaml"


def test_whole_lines_of_some_runs(grid: str, capsys):
    assert main(["logs", grid, "a"]) == 0
    assert capsys.readouterr().out == "a one\na \\x1b[31mtwo\n"
    assert main(["logs", grid, "*", "--lines", "1"]) == 0
    assert capsys.readouterr().out == "a-seed0: a \\x1b[31mtwo\nb-seed0: b \\x1b[31mtwo\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [(["c"], "c: no cell of mine"), (["a", "--lines", "-1"], "--lines is -1: write 0 or more")],
)
def test_mistakes(grid: str, words: list[str], message: str, capsys):
    assert main(["logs", grid, *words]) == 2
    assert message in capsys.readouterr().err


def test_no_run_has_begun(grid: str, capsys):
    RunFolder("runs/mine/a-seed0").log_file.unlink()
    assert main(["logs", grid, "a"]) == 2
    assert "a-seed0/log.txt: not there" in capsys.readouterr().err


def test_followed_to_the_end(grid: str):
    command = [sys.executable, "-m", "lit_resnet", "logs", grid, "a", "--lines", "0", "--follow"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        folder = RunFolder("runs/mine/a-seed0")
        time.sleep(1)
        with folder.log_file.open("a") as log:
            log.write("ne\nthree\n")
        assert [process.stdout.readline() for _ in range(2)] == ["half a line\n", "three\n"]
        with folder.log_file.open("a") as log:
            log.write("last\n")
        folder.write_summary(make_summary())
        assert process.communicate(timeout=60)[0] == "last\n"
        assert process.returncode == 0
    finally:
        process.kill()
