"""A launcher of one's own is a file and an entry in a table; everything else is the command line as it is."""

import os
import sys
from pathlib import Path

import pytest
import yaml
from extending import Add

from lit_resnet.cli import main
from lit_resnet.launch.launcher import LAUNCHERS
from lit_resnet.runfolder.folder import RunFolder

# A machine that shares the folder, as ssh would reach it.
SSH = f"""#!/bin/sh
[ "$1" = node7 ] || exit 255
cd /
PATH="{Path(sys.executable).parent}:$PATH" exec sh -c "$2"
"""

# Notes down the commands that another machine would be told, each of which is a job of its queue.
TOY = """
import json
from pathlib import Path

from lit_resnet.grid.status import Queued


class Ssh:
    def options(self, group):
        return [group.add_argument("--host", default="", help="the machine")]

    def launch(self, asked, grid, options, accompany):
        asked.home.mkdir(parents=True, exist_ok=True)
        told = {cell.folder: [options.host, asked.command("run", cell.folder)] for cell in grid.cells}
        (asked.home / "ssh.json").write_text(json.dumps(told))

    def queue(self, root, grids):
        return {
            (grid, folder): Queued(f"ssh{i}", i == 0, host, "told")
            for grid in grids
            if (root / grid / "ssh.json").is_file()
            for i, (folder, (host, _)) in enumerate(json.loads((root / grid / "ssh.json").read_text()).items())
        }

    def cancel(self, ids):
        Path("cancelled.json").write_text(json.dumps(ids))
"""


@pytest.fixture
def args(tmp_path: Path, monkeypatch) -> list[str]:
    """GRID and --root of three cells of two seeds, where the toy is installed."""
    (tmp_path / "toy_ssh.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(LAUNCHERS, "ssh", "toy_ssh:Ssh")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("{}")
    cells = {"base": "base.yaml", "seeds": [0, 1], "include": {"a": {}, "ab": {}, "c": {}}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(cells))
    return ["tiny.yaml", "--root", "elsewhere"]


def test_a_launcher_of_ones_own(args: list[str], tmp_path: Path, capsys):
    more = ["--host", "big", "--set", "model.rate.lr=1", "--seeds", "0", "3"]
    assert main(["launch", *args, "a*", "--on", "ssh", *more]) == 0
    told = yaml.safe_load((tmp_path / "elsewhere/tiny/ssh.json").read_text())
    command = "lit-resnet run tiny.yaml {} --root elsewhere --set=model.rate.lr=1 --seeds 0 3"
    assert told == {f: ["big", command.format(f)] for f in ("a-seed0", "a-seed3", "ab-seed0", "ab-seed3")}

    def status(*more: str) -> dict[str, list[str]]:
        capsys.readouterr()
        assert main(["status", *args, "--format", "csv", *more]) == 0
        rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
        return {f"{row[0]}-seed{row[1]}": [row[2], *row[-4:]] for row in rows}

    assert status() == {
        "a-seed0": ["starting", "big", "ssh0", "", "job ssh0 told"],
        **{f"{name}-seed1": ["queued", "", "", "", ""] for name in ("a", "ab", "c")},
        "ab-seed0": ["queued", "big", "ssh2", "", "job ssh2 told"],
        "c-seed0": ["queued", "", "", "", ""],
    }
    assert list(status("--seeds", "3")) == ["a-seed3", "ab-seed3", "c-seed3"]

    run = RunFolder(tmp_path / "elsewhere/tiny/a-seed0")
    run.path.mkdir()
    assert main(["cancel", *args, "a", "c", "--seeds", "0", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a-seed0", "a-seed3", "c-seed0", "c-seed3"]
    assert run.cancelled
    assert yaml.safe_load((tmp_path / "cancelled.json").read_text()) == ["ssh0", "ssh1"]


def test_options_of_another_launcher_are_refused(args: list[str], capsys):
    assert main(["launch", *args, "--host", "big"]) == 2
    assert "--host is for launch --on ssh; leave it out" in capsys.readouterr().err
    assert main(["launch", *args, "--on", "ssh", "--jobs", "2"]) == 2
    assert "--jobs is for launch --on local; leave it out" in capsys.readouterr().err
    assert main(["launch", *args, "--on", "ssh", "d"]) == 2
    assert "d: no cell of tiny" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["launch", "--help"])
    assert "--on {local,slurm,ssh}" in capsys.readouterr().out


def test_a_launcher_is_added_as_the_docs_say(add: Add, tmp_path: Path, monkeypatch, capsys):
    add("A launcher")
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    trainer = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1}
    Path("base.yaml").write_text(
        yaml.safe_dump({"data": {"source": "digits"}, "model": {"net": {"depth": 8}}, "trainer": trainer})
    )
    Path("tiny.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"good": {}, "other": {}}}))
    assert main(["launch", "tiny.yaml", "good", "--on", "ssh", "--host", "node7"]) == 0
    assert RunFolder(Path("runs/tiny/good-seed0")).summary() is not None
    assert "1 of 2 runs finished (1 queued); the page: runs/tiny/report/index.html" in capsys.readouterr().out
    assert main(["launch", "tiny.yaml", "other", "--on", "ssh", "--host", "node8"]) == 1
    assert "1 failed: other-seed0" in capsys.readouterr().err
