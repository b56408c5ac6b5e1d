"""`lit-resnet lesion`: from a run folder to its record and table, and what it refuses."""

import csv
import io
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from lit_resnet.cli import main
from lit_resnet.evaluation.alone import judged_alone
from lit_resnet.run.config import RunCLI
from lit_resnet.run.models import checkpoint_digest
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lesions import read

TINY = {
    "model": {"net": {"depth": 14, "shortcut": "none"}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 64},
    "trainer": {"max_steps": 4, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"},
}
BLOCKS = [f"layer{stage}.{number}" for stage in (1, 2, 3) for number in (0, 1)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """A plain net, not trained for long."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "plain-14")
    assert train(RunCLI(TINY), folder)
    return folder


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that must end with exit code 2."""
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert not printed.out
    (line,) = printed.err.splitlines()
    return line


def test_a_run_is_judged_without_its_blocks(run: RunFolder, capsys: pytest.CaptureFixture[str]):
    assert main(["lesion", str(run.path), "--most", "3", "--draws", "2", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["removed"], row["block"]) for row in rows] == [
        ("0", "none"), *(("1", block) for block in BLOCKS), ("1", "any"), ("2", "any"), ("3", "any")
    ]  # fmt: skip
    assert [row["draws"] for row in rows[-3:]] == ["4", "2", "2"]
    assert [row["block"] for row in rows if row["dimensions"] == "changed"] == ["layer2.0", "layer3.0"]
    kept = read(run.path)
    summary = run.summary()
    assert summary
    assert float(rows[0]["error"]) == pytest.approx(summary.metrics["test_error"], abs=1e-3)
    assert [lesion.blocks for lesion in kept[:7]] == [(), *((block,) for block in BLOCKS)]
    assert [lesion.error for lesion in kept[:7]] == pytest.approx([float(row["error"]) for row in rows[:7]], abs=1e-3)
    assert checkpoint_digest(run) in (run.path / "lesions.csv").read_text()
    first = (run.path / "lesions.csv").read_bytes()
    assert main(["lesion", str(run.path), "--most", "3", "--draws", "2"]) == 0
    printed = capsys.readouterr()
    assert (run.path / "lesions.csv").read_bytes() == first
    assert "layer2.0, changes dimensions" in printed.out
    assert "lesions.csv in the run's folder has each draw" in printed.err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": "vgg", "depth": 16}, "VGG-16 has no blocks to take out; give runs of plain and residual nets"),
        ({"depth": 20}, "copy: the checkpoint is of plain-14, not of plain-20"),
        ({"own": "somebodys.Net"}, "--import somebodys"),
    ],
)
def test_what_cannot_be_judged_so_is_one_line(
    run: RunFolder, tmp_path: Path, changes: dict, words: str, capsys: pytest.CaptureFixture[str]
):
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(run.path, copy.path)
    config = yaml.safe_load(copy.config_file.read_text())
    config["model"]["net"] |= changes
    copy.config_file.write_text(yaml.safe_dump(config))
    before = {path.name for path in copy.path.rglob("*")}
    line = refused(["lesion", str(copy.path)], capsys)
    assert words in line
    assert {path.name for path in copy.path.rglob("*")} == before


def test_what_is_refused_before_anything_is_measured(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    here = str(run.path)
    assert "no run here" in refused(["lesion", here, str(tmp_path)], capsys)
    assert "is there twice" in refused(["lesion", here, f"{here}/"], capsys)
    assert "--most is 0: write 1 to 1000" in refused(["lesion", here, "--most", "0"], capsys)
    assert "--draws is 1001: write 1 to 1000" in refused(["lesion", here, "--draws", "1001"], capsys)
    bare = RunFolder(tmp_path / "bare")
    bare.path.mkdir()
    shutil.copy(run.config_file, bare.config_file)
    assert "only trained nets can be judged" in refused(["lesion", here, str(bare.path)], capsys)
    renamed = RunFolder(tmp_path / "renamed")
    shutil.copytree(run.path, renamed.path)
    checkpoint = torch.load(renamed.checkpoints / "last.ckpt", weights_only=True)
    checkpoint["data"]["classes"].reverse()
    torch.save(checkpoint, renamed.checkpoints / "last.ckpt")
    assert "digits: class 1 of these images is" in refused(["lesion", str(renamed.path)], capsys)
    with judged_alone(run, run.scores):
        assert "another process evaluates this run" in refused(["lesion", here], capsys)
