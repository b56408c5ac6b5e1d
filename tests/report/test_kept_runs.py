"""The report of run folders that the repository keeps is made anew from them, byte for byte."""

import gzip
import shlex
import shutil
from pathlib import Path

import matplotlib
import pytest
import yaml

from lit_resnet.cli import main

ROOT = Path(__file__).parents[2]
KEPT = [path.parent.relative_to(ROOT) for path in ROOT.glob("results/**/report") if path.is_dir()]
PAGE = "index.html"  # is not kept: it has the pictures and scripts in it


def test_there_are_some():
    assert KEPT


@pytest.mark.parametrize("folder", KEPT, ids=str)
def test_a_report_is_that_of_its_run_folders(folder: Path, tmp_path: Path, monkeypatch, capsys):
    shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("report"))
    monkeypatch.chdir(tmp_path)
    command = yaml.safe_load((folder / "about.yaml").read_text(encoding="utf-8"))["command"]
    (words,) = (line for line in command.replace("\\\n", " ").splitlines() if line.startswith("lit-resnet report"))
    assert main(shlex.split(words)[1:]) == 0, capsys.readouterr().err
    before, now = (
        {str(path.relative_to(place)): path for path in place.rglob("*") if path.is_file() and path.name != PAGE}
        for place in (ROOT / folder / "report", folder / "report")
    )
    assert now.keys() == before.keys()
    # Another matplotlib may draw a few pixels otherwise.
    compared = [name for name, path in before.items() if not _drawn_otherwise(path)]
    assert {Path(name).suffix for name in compared} >= {".md", ".csv", ".tex", ".gz"}
    assert [name for name in compared if _content(now[name]) != _content(before[name])] == []


def _drawn_otherwise(path: Path) -> bool:
    """Whether it has pictures, and matplotlib is another than the tested one, whose pictures the repository has."""
    tested = f"matplotlib=={matplotlib.__version__}" in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return path.suffix in (".png", ".svg") and not tested


def _content(path: Path) -> bytes:
    """Its bytes; of an archive those in it, since libraries pack otherwise."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
