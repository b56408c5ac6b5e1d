"""The command line: what answers without torch, what is refused, and how."""

import argparse
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from lab import METRICS
from PIL import Image

from lit_resnet.cli import SPINS, TRAINING, main
from lit_resnet.grid.grid import load
from lit_resnet.run.config import RunCLI
from lit_resnet.run.help import SECTIONS
from lit_resnet.run.run import train
from lit_resnet.run.trained import load_run
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES
from lit_resnet.verbs import fit

TINY = {
    "model": {"net": {"depth": 8}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 64},
    "trainer": {"max_steps": 4, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"},
}


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> str:
    """Two cells, the second of which is run."""
    path = tmp_path_factory.mktemp("grids") / "tiny.yaml"
    path.with_name("recipe.yaml").write_text(yaml.safe_dump(TINY))
    shortcuts = {"plain": "none", "ResNet": "A"}
    path.write_text(
        yaml.safe_dump({"base": "recipe.yaml", "matrix": {"model.net.shortcut": shortcuts}}, sort_keys=False)
    )
    return str(path)


@pytest.fixture(scope="module")
def run(grid: str, tmp_path_factory) -> RunFolder:
    loaded = load(grid)
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "tiny" / "ResNet-seed0")
    assert train(RunCLI(loaded.config(loaded.cells[1])), folder)
    return folder


def imported(code: str, cwd: Path) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`, whatever its exit."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\n'.join(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, check=True)
    return {line.split(".")[0] for line in answer.stdout.splitlines()}


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["plan", "--help"],
        ["launch", "--help"],
        ["status", "--help"],
        ["report", "--help"],
        ["bench", "--help"],
        ["status", "GRID", "--root", "ROOT"],
        ["status", "--root", "ROOT"],
        ["report", "GRID", "--root", "ROOT"],
        ["cancel", "GRID", "--root", "ROOT"],
    ],
)
def test_answers_without_torch(argv: list[str], grid: str, run: RunFolder):
    root = run.path.parent.parent
    argv = [{"GRID": grid, "ROOT": str(root)}.get(word, word) for word in argv]
    modules = imported(f"from lit_resnet.cli import main; main({argv!r})", root)
    assert "lit_resnet" in modules
    assert not modules & {"torch", "lightning", "wandb", "torchvision", "fvcore", "argcomplete"}


def test_help_has_a_text_for_every_key(capsys):
    parser = RunCLI({}).parser
    for action in parser._actions:
        assert action.help, f"{action.dest} has no text"
    for dest in ("model.net.depth", "model.net.shortcut", "model.rate.lr", "data.source", "data.val_size"):
        assert any(action.dest == dest for action in parser._actions)


@pytest.mark.parametrize("verb", TRAINING)
def test_a_shell_completes_options_that_are_there(verb: str):
    offered = argparse.ArgumentParser(prog=f"lit-resnet {verb}")
    fit.add(offered)
    known = RunCLI({} if verb == "fit" else {"ckpt_path": "x"}, verb).parser._option_string_actions.keys()
    known |= {"--check", *(f"--{section}.help" for section in SECTIONS)}
    assert offered._option_string_actions.keys() <= known


def test_status_of_a_grid(grid: str, run: RunFolder, capsys):
    root = run.path.parent.parent
    assert main(["status", grid, "--root", str(root), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["cell"], row["state"]) for row in rows] == [("plain", "queued"), ("ResNet", "done")]
    assert main(["status", "--root", str(root), "--format", "json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["cell"], only["seed"], only["step"]) == ("tiny/ResNet", 0, 4)


def test_a_run_that_died_is_called_stopped(tmp_path: Path, capsys):
    folder = RunFolder(tmp_path / "quickstart" / "plain-20-seed0")
    folder.path.mkdir(parents=True)
    status = folder.status()
    status.state, status.step, status.max_steps = "running", 5, 10
    folder.write_status(status)
    argv = ["status", "--root", str(tmp_path), "--format", "json"]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "stopped"
    with folder.locked():
        assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "running"


def test_plan_checks_and_counts(grid: str, run: RunFolder, capsys):
    root = run.path.parent.parent
    assert main(["plan", grid, "--root", str(root), "--format", "csv"]) == 0
    plain, residual = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (plain["state"], residual["state"]) == ("queued", "done")
    assert plain["params"] == residual["params"] == str(run.summary().params)
    assert int(plain["training_macs"]) == 3 * run.summary().macs * 64 * 4
    # The same net but for its shortcuts: expected to take what its twin took.
    assert float(plain["seconds"]) == pytest.approx(run.summary().wall_seconds, abs=0.1)
    assert main(["plan", grid, "--root", str(root), "--format", "commands"]) == 0
    assert capsys.readouterr().out == f"lit-resnet run {grid} plain-seed0 --root {root}\n"


def test_responses_of_a_checkpoint(run: RunFolder, capsys):
    before = RESPONSES.read(run.path)
    RESPONSES.file(run.path).unlink()
    torch.set_float32_matmul_precision("medium")
    assert main(["responses", str(run.path), "--format", "csv"]) == 0
    assert torch.get_float32_matmul_precision() == "highest"
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["std"]) for row in rows] == pytest.approx([row["std"] for row in before], rel=1e-6)
    assert [row["name"] for row in RESPONSES.read(run.path)] == [row["name"] for row in before]


def test_evaluate_a_checkpoint(run: RunFolder, capsys):
    checkpoint = str(run.checkpoints / "last.ckpt")
    for verb in ("test", "validate"):
        assert main([verb, "--config", str(run.config_file), "--ckpt_path", checkpoint]) == 0
        assert f"test_error {run.summary().metrics['test_error']:.4f} %" in capsys.readouterr().out


def refused(argv: list[str], capsys) -> str:
    """The one line on stderr of a command that must end with exit code 2."""
    assert main(argv) == 2
    err = capsys.readouterr().err.strip()
    assert err.count("\n") == 0, err
    assert err.startswith("lit-resnet: ")
    return err


def test_wrong_options_of_fit(tmp_path: Path, capsys):
    folder = ["--trainer.default_root_dir", str(tmp_path / "run")]
    assert "did you mean model.net.depth?" in refused(["fit", "--model.net.dpeth", "20", *folder], capsys)
    assert "the nearest are 20 and 26" in refused(
        ["fit", "--config", "digits", "--model.net.depth=21", *folder], capsys
    )
    assert "no such config; did you mean digits?" in refused(["fit", "--config", "digit", *folder], capsys)
    assert "the nearest are 20 and 26" in refused(["fit", "--config=digits", "--model.net.depth=21", *folder], capsys)
    if not torch.cuda.is_available():
        assert "lit-resnet: " in refused(["fit", "--trainer.accelerator", "gpu", *folder], capsys)
    missing = ["fit", "--data.source", "folder", "--data.root", str(tmp_path / "none"), *folder]
    assert str(tmp_path / "none") in refused(missing, capsys)
    assert not (tmp_path / "run").exists()


def test_wrong_images(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "photos"
    for place in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (root / place).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / place / "1.png")
    fit = ["fit", "--data.source", "folder", "--data.root", str(root), "--trainer.max_steps", "2"]
    fit += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(tmp_path / "run")]
    image = root / "train" / "dog" / "1.png"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    assert f"{image}: not an image, or a damaged one" in refused(fit, capsys)
    assert RunFolder(tmp_path / "run").status().state == "failed"
    image.unlink()
    assert f"{image.parent}: has no images" in refused(fit, capsys)
    image.write_bytes(whole)
    assert main([*fit, "--model.net.depth", "8"]) == 0, "nothing was trained yet: the config may change, too"


def test_a_finished_run_is_kept(run: RunFolder, capsys):
    before = run.summary_file.read_bytes()
    argv = ["fit", "--config", str(run.config_file), "--trainer.default_root_dir", str(run.path)]
    assert "this run is finished" in refused(argv, capsys)
    assert run.summary_file.read_bytes() == before


def test_weights_of_another_net(run: RunFolder, tmp_path: Path, capsys):
    checkpoint = str(run.checkpoints / "last.ckpt")
    deeper = ["test", "--config", str(run.config_file), "--model.net.depth", "14", "--ckpt_path", checkpoint]
    assert "the checkpoint is of ResNet-8, not of ResNet-14: weight layer1.1.conv1.weight" in refused(deeper, capsys)

    for content in (b"", b"not a checkpoint"):
        (tmp_path / "bad.ckpt").write_bytes(content)
        bad = ["test", "--config", str(run.config_file), "--ckpt_path", str(tmp_path / "bad.ckpt")]
        assert "not a checkpoint that can be read" in refused(bad, capsys)
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {"fc.weight": torch.zeros(3)}}, foreign)
    assert "another program" in refused(["test", "--config", str(run.config_file), "--ckpt_path", str(foreign)], capsys)


def test_responses_never_use_random_weights(run: RunFolder, tmp_path: Path, capsys):
    assert "no run here" in refused(["responses", str(tmp_path)], capsys)
    copy = RunFolder(tmp_path / "copy")
    copy.checkpoints.mkdir(parents=True)
    copy.config_file.write_text(run.config_file.read_text())
    assert "no whole checkpoint" in refused(["responses", str(copy.path)], capsys)
    whole = (run.checkpoints / "last.ckpt").read_bytes()
    (copy.checkpoints / "last.ckpt").write_bytes(whole)
    copy.config_file.write_text(run.config_file.read_text().replace("depth: 8", "depth: 14"))
    assert "not of ResNet-14" in refused(["responses", str(copy.path)], capsys)
    assert not RESPONSES.file(copy.path).exists()


def test_a_config_from_elsewhere_cannot_run_code_in_responses(run: RunFolder, tmp_path: Path, capsys):
    copy = RunFolder(tmp_path / "copy")
    copy.checkpoints.mkdir(parents=True)
    (copy.checkpoints / "last.ckpt").write_bytes((run.checkpoints / "last.ckpt").read_bytes())
    mark = tmp_path / "mark"
    hostile = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(mark)]}}
    config = run.config_file.read_text().replace("callbacks: null", f"callbacks: {json.dumps(hostile)}")
    assert "Popen" in config
    copy.config_file.write_text(config)
    assert main(["responses", str(copy.path)]) == 0
    assert not mark.exists()


def test_a_checkpoint_cannot_run_code(run: RunFolder, tmp_path: Path, capsys):
    mark = tmp_path / "mark"

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {mark}",)

    copy = RunFolder(tmp_path / "copy")
    copy.checkpoints.mkdir(parents=True)
    copy.config_file.write_text(run.config_file.read_text())
    torch.save({"state_dict": {}, "x": Hostile()}, copy.checkpoints / "last.ckpt")
    assert zipfile.is_zipfile(copy.checkpoints / "last.ckpt")
    assert "not a checkpoint that can be read" in refused(["responses", str(copy.path)], capsys)
    assert "not a checkpoint" in refused(
        ["test", "--config", str(run.config_file), "--ckpt_path", str(copy.checkpoints / "last.ckpt")], capsys
    )
    assert not mark.exists()


def test_a_run_folder_from_elsewhere_names_nothing_to_import(run: RunFolder, grid: str, tmp_path: Path, monkeypatch):
    """Its config may, anywhere; only `fit`, `plan` and `launch` do what a config says."""
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = RunFolder(tmp_path / "runs" / "tiny" / run.path.name)
    shutil.copytree(run.path, folder.path)
    evil = {"class_path": "evil.Class"}
    config = yaml.safe_load(folder.config_file.read_text())
    places = (("trainer", "callbacks"), ("trainer", "logger"), ("trainer", "strategy"), ("model", "rate"),
              ("model", "net"), ("data", "photographs"), ("model", "x"), ("data", "source"))  # fmt: skip
    for part, key in places:
        for value in (evil, "evil.Class"):
            text = yaml.safe_dump({**config, part: {**config[part], key: value}})
            folder.config_file.write_text(text)
            for argv in (
                ["evaluate", str(folder.path)],
                ["responses", str(folder.path)],
                ["lesion", str(folder.path), "--most", "1"],
                ["status", "--root", str(tmp_path / "runs")],
            ):
                assert main(argv) in (0, 2)
    folder.config_file.write_text(yaml.safe_dump(config))
    folder.cell_file.write_text(yaml.safe_dump({"trainer": {"callbacks": [evil]}}))
    for verb in ("status", "report", "cancel"):
        assert main([verb, grid, "--root", str(tmp_path / "runs")]) in (0, 2)
    load_run(folder.path)
    assert "evil" not in sys.modules


def test_responses_are_of_the_images_that_the_run_was_tested_on(run: RunFolder, tmp_path: Path, capsys):
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, folder.path)
    summary = json.loads(folder.summary_file.read_text())
    folder.summary_file.write_text(json.dumps(summary | {"test_images": "0" * 64}))
    assert "its test images are others than at its end" in refused(["responses", str(folder.path)], capsys)


def test_responses_of_a_folder_that_cannot_be_written_are_printed(run: RunFolder, tmp_path: Path, capsys):
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, folder.path)
    RESPONSES.file(folder.path).unlink()
    RESPONSES.file(folder.path).mkdir()
    assert main(["responses", str(folder.path), "--format", "csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("layer,name,std\n1,")
    assert f"warning: {RESPONSES.file(folder.path)}: not written (Is a directory)" in printed.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["status", "--root", "a" * 300], "File name too long; give another place"),
        (["status", "--root", "a\0b"], "holds a letter that no word of a command line can have"),
        (["report", "a" * 300], "no such grid"),
        (["evaluate", "a" * 300], "File name too long"),
        (["responses", "a" * 300], "File name too long|no run here"),
        (["evaluate", "loop"], "loop: no such run folder"),
        (["plan", "quickstart", "--set", "config=x"], "unknown key config"),
        (["plan", "quickstart", "--set", "data.root=~nosuchuser/x"], "there is no such user"),
        (["plan", "quickstart", "--set", "model.rate.lr=" + "[" * 5000], "not YAML|nested too deep"),
        (["fit", "--model.rate.lr=" + "[" * 5000], "model.rate.lr"),
        (["fit", "--config", "a" * 300], "no such config"),
        (["cancel", "quickstart", "--lines\n"], "unrecognized arguments"),
    ],
)
def test_words_that_cannot_be(argv: list[str], words: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    try:
        code = main(argv)
    except SystemExit as end:  # argparse
        code = end.code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert last.startswith("lit-resnet")
    assert re.search(words, last), last


def test_any_locale_will_do(run: RunFolder, grid: str, tmp_path: Path):
    shutil.copytree(run.path, tmp_path / "tiny" / run.path.name)
    done = subprocess.run(
        [sys.executable, "-m", "lit_resnet", "report", grid, "--root", str(tmp_path)],
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "ResNet-8" in done.stdout
    page = (tmp_path / "tiny" / "report" / "index.html").read_text(encoding="utf-8")
    assert "±" in page or "–" in page


def test_half_a_file_in_a_run_folder(tmp_path: Path, capsys):
    folder = RunFolder(tmp_path / "quickstart" / "plain-20-seed0")
    folder.path.mkdir(parents=True)
    folder.status_file.write_text('{"state": "ru')
    for verb in ("status", "launch"):
        assert f"{folder.status_file}: damaged" in refused([verb, "quickstart", "--root", str(tmp_path)], capsys)
    assert folder.status_file.read_text() == '{"state": "ru'
    folder.status_file.write_text('{"state": "running", "step": "x"}')
    assert f"{folder.status_file}: damaged" in refused(["status", "quickstart", "--root", str(tmp_path)], capsys)
    folder.status_file.unlink()
    for content in ("{}", '{"net": "x"}'):
        folder.summary_file.write_text(content)
        for verb in ("plan", "launch", "report"):
            message = refused([verb, "quickstart", "--root", str(tmp_path)], capsys)
            assert f"{folder.summary_file}: damaged" in message
    folder.summary_file.unlink()
    METRICS.file(folder.path).write_bytes(b"\xff\xfe\n")
    assert f"{METRICS.file(folder.path)}, line 1: damaged" in refused(
        ["launch", "quickstart", "--root", str(tmp_path)], capsys
    )


def test_wrong_roots(tmp_path: Path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    for verb in ("report", "status", "plan", "launch"):
        assert f"--root {file}: is a file" in refused([verb, "quickstart", "--root", str(file)], capsys)
    assert "no runs here" in refused(["status", "--root", str(tmp_path / "none")], capsys)


def test_wrong_jobs_and_unknown_grids(capsys):
    assert "--jobs is 0: write 1 or more" in refused(["launch", "quickstart", "--jobs", "0"], capsys)
    assert "did you mean quickstart?" in refused(["plan", "quickstrat"], capsys)
    assert "no finished runs of quickstart" in refused(["report", "quickstart", "--root", "/nowhere"], capsys)


@pytest.mark.parametrize(
    ("said", "spins"), [({}, SPINS), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_that_wait_soon_sleep_unless_the_user_says_otherwise(
    monkeypatch, said: dict[str, str], spins: str | None
):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    assert {"torch", "lightning"}.isdisjoint(
        subprocess.run(
            [sys.executable, "-c", "import sys, lit_resnet.cli; print(*sys.modules)"], capture_output=True, text=True
        ).stdout.split()
    ), "torch is imported after this"
