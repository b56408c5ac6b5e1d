"""Run folders in W&B and back: the real client against a stand-in server; and what training may not feel of it."""

import gzip
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from lab import METRICS

from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load
from lit_resnet.report import write
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status

CELLS = {
    "plain-20": {"model.net.depth": 20, "model.net.shortcut": "none"},
    "residual-20": {"model.net.depth": 20, "model.net.shortcut": "A"},
}
RECIPE = {
    "trainer": {"max_steps": 600},
    "model": {"net": {"family": "cifar", "depth": 8, "shortcut": "A"}},
    "data": {"source": "cifar10"},
}


def wait_until(true: Callable[[], bool], seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def begin(run: RunFolder, grid: str, started: float = 1e9) -> RunFolder:
    """Give a folder what training writes first."""
    whole = load(grid)
    cell = next(cell for cell in whole.cells if cell.folder == run.path.name)
    text = yaml.safe_dump(whole.config(cell))
    run.config_file.write_text(text)
    run.cell_file.write_text(text)
    status = run.status()
    status.started, status.host, status.git_commit = started, "node7", "3dcc885" + 33 * "0"
    status.machine = {"device": "NVIDIA H100", "cpu_count": 16}
    run.write_status(status)
    return run


@pytest.fixture
def grid(lab) -> str:
    path = lab.grid(CELLS, seeds=[0, 1], title="Two nets", report={"figures": ["fig6", "fig7", "gradients"]})
    (lab.folder / "base.yaml").write_text(yaml.safe_dump(RECIPE))
    return path


def finish_all(lab, grid: str) -> None:
    """Four runs: one whose loss was no number, one that failed."""
    plain = {"shortcut": "none", "signals": True, "start": 90.0}
    config = {**RECIPE, "model": {"net": {**RECIPE["model"]["net"], **{"depth": 20, "shortcut": "none"}}}}
    begin(lab.finish("plain-20", 0, test_error=9.0, config=config, **plain), grid)
    begin(lab.finish("plain-20", 1, test_error=9.5, train_error=0.25, **plain), grid)
    broken = begin(lab.finish("residual-20", 0, test_error=90.0, diverged=True), grid)
    rows = METRICS.read(broken.path)
    rows[-1]["train_loss"] = math.nan
    METRICS.replace(broken.path, rows)
    lab.responses(broken, [(f"layer{i}", math.nan) for i in range(1, 20)])
    lab.judge(broken, "cifar10", **{"ten-crop": (8.0, None)})
    failed = begin(lab.run("residual-20", 1), grid)
    failed.write_status(Status("failed", step=100, max_steps=600, attempts=3, error="killed by signal 9"))


def files(folder: Path) -> dict[str, bytes]:
    """A report's files; what is in curves.csv.gz, as it is."""
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert "curves.csv.gz" in found
    return {name: gzip.decompress(content) if name.endswith(".gz") else content for name, content in found.items()}


def test_the_report_is_the_same_from_folders_and_from_wandb(lab, grid, lines, wandb_server):
    finish_all(lab, grid)
    synced = lines.run("wandb", "sync", grid, "--root", lab.root)
    assert synced.returncode == 0, synced.stderr
    assert synced.stdout.count(wandb_server.url) == 4
    assert "4 uploaded, 0 there already, 0 not finished yet" in synced.stderr
    runs = {f"{run.name}-{run.config['seed']['value']}": run for run in wandb_server.runs.values()}
    run = runs["plain-20-0"]
    assert (run.group, run.job_type, run.state) == ("tiny", "train", "finished")
    assert run.tags == ["cifar10", "fig6", "fig7", "gradients"]
    config = {key: entry["value"] for key, entry in run.config.items()}
    assert (config["depth"], config["shortcut"], config["grid"], config["cell"]) == (20, "none", "tiny", "plain-20")
    assert config["model"]["net"]["depth"] == 20
    assert (config["host"], config["machine"]["device"], config["git_commit"][:7]) == (
        "node7",
        "NVIDIA H100",
        "3dcc885",
    )
    assert run.summary["test_error"] == 9.0
    assert runs["residual-20-0"].summary["paper/test_error"] == 8.75
    assert runs["residual-20-0"].summary["paper/params"] == 0.27
    assert run.summary["best_test_error"] == min(r["test_error"] for r in run.history if "test_error" in r)
    assert run.summary["fig7"]["_type"] == "image-file"
    assert run.summary["responses"]["_type"] == "table-file"
    assert runs["residual-20-1"].state == "failed"
    assert runs["residual-20-1"].summary["error"] == "killed by signal 9"

    ours = write(Asked(grid, root=lab.root))
    args = ("report", grid, "--root", lab.root, "--from", "wandb:lab/lit-resnet", "--format", "json")
    theirs = lines.run(*args)
    assert theirs.returncode == 0, theirs.stderr
    folder = lab.root / "from-wandb" / "lab" / "lit-resnet" / "tiny"
    assert files(folder / "report") == files(ours.folder)
    assert theirs.stdout == ours.table.json()
    assert RunFolder(folder / "plain-20-seed0").summary() == lab.run("plain-20", 0).summary()
    assert "config" not in run.summary, "W&B has the config of each run"

    asked = len(wandb_server.requests)
    assert lines.run(*args).returncode == 0
    again = " ".join(wandb_server.requests[asked:])
    assert "media/" not in again, "what has not changed is not fetched twice"

    more = lines.run("wandb", "sync", grid, "--root", lab.root)
    assert "0 uploaded, 4 there already" in more.stderr
    lab.judge(lab.run("plain-20", 0), "cifar10", **{"ten-crop": (7.5, 0.5)})
    more = lines.run("wandb", "sync", grid, "--root", lab.root)
    assert "1 uploaded, 3 there already" in more.stderr
    assert run.summary["evaluation/ten-crop"]["top1_error"] == 7.5
    steps = [row["_step"] for row in run.history]
    assert steps == [row["step"] for row in METRICS.read(lab.run("plain-20", 0).path)], "no row came twice"


def test_rows_go_out_while_it_trains_whoever_is_killed(lab, grid, lines, wandb_server):
    run = begin(lab.run("plain-20", 0), grid)
    rows = [{"step": step, "train_error": 90.0 - step / 10, "lr": 0.1} for step in range(0, 300, 25)]
    for row in rows[::4]:
        row["test_error"] = 50.0

    def sent() -> list[int]:
        return [row["_step"] for there in wandb_server.runs.values() for row in there.history]

    with run.locked():
        run.write_status(Status("running", started=1e9, step=1, max_steps=600))
        METRICS.replace(run.path, rows[:5])
        beside = lines.follow(grid, lab.root, "plain-20-seed0")
        wait_until(lambda: len(sent()) == 4)  # to the fifth an evaluation may come
        os.killpg(beside.pid, signal.SIGKILL)
        beside.communicate()
        METRICS.replace(run.path, rows[:3])  # a resume from an earlier checkpoint
        beside = lines.follow(grid, lab.root, "plain-20-seed0")
        for row in rows[3:8]:
            METRICS.append(run.path, [row])
        wait_until(lambda: len(sent()) == 7)
        for row in rows[8:]:
            METRICS.append(run.path, [row])
    begin(lab.finish("plain-20", 0, shortcut="none", responses=False, steps=275, rows=rows), grid)
    _, words = beside.communicate("", timeout=150)
    assert beside.returncode == 0, words
    assert sent() == [row["step"] for row in rows]
    (there,) = wandb_server.runs.values()
    assert (there.state, there.summary["state"], there.summary["test_error"]) == ("finished", "done", 8.5)
    assert [row.get("test_error") for row in there.history] == [row.get("test_error") for row in rows]


def test_a_run_that_is_done_before_the_client_is_loaded_is_told_of(lab, grid, lines, wandb_server):
    begin(lab.finish("plain-20", 0, shortcut="none"), grid)
    beside = lines.follow(grid, lab.root, "plain-20-seed0")
    _, words = beside.communicate("", timeout=150)
    assert [run.state for run in wandb_server.runs.values()] == ["finished"], words


def test_a_stopped_run_is_left_as_preempted(lab, grid, lines, wandb_server):
    run = begin(lab.run("plain-20", 0), grid)
    with run.locked():
        run.write_status(Status("running", started=1e9, step=1, max_steps=600))
        beside = lines.follow(grid, lab.root, "plain-20-seed0")
        wait_until(lambda: len(wandb_server.runs) == 1)
    run.write_status(Status("queued", started=1e9, step=9, max_steps=600, attempts=1))
    _, words = beside.communicate("", timeout=150)
    (there,) = wandb_server.runs.values()
    assert there.summary["state"] == "stopped", words
    assert there.state != "finished"


def test_offline_then_sync(lab, grid, lines, wandb_server):
    run = begin(lab.run("plain-20", 0), grid)
    for attempt in range(2):  # the first one is killed
        with run.locked():
            run.write_status(Status("running", started=1e9, step=1, max_steps=600))
            METRICS.replace(run.path, [{"step": 25 * k, "train_error": 50.0} for k in range(attempt + 3)])
            beside = lines.follow(grid, lab.root, "plain-20-seed0", WANDB_MODE="offline")
            wait_until(lambda: len(list(run.wandb.glob("offline-run-*/*.wandb"))) == 1)
            if attempt == 0:
                os.killpg(beside.pid, signal.SIGKILL)
                beside.communicate()
    finish_all(lab, grid)
    words, _ = beside.communicate("", timeout=150)
    sync = f"lit-resnet wandb sync {grid} --root {lab.root}"
    assert words == f"W&B: offline, its files are in the run folders; later: {sync}\n"
    assert len(list(run.wandb.glob("offline-run-*"))) == 1
    assert wandb_server.runs == {}
    synced = lines.run("wandb", "sync", grid, "--root", lab.root, WANDB_MODE="offline")
    assert "4 uploaded" in synced.stderr
    assert list(run.wandb.glob("offline-run-*")) == [], "it would double what was uploaded"
    steps = [row["_step"] for row in next(r for r in wandb_server.runs.values() if "plain-20-seed0" in r.id).history]
    assert steps == [row["step"] for row in METRICS.read(run.path)]
    theirs = lines.run("report", grid, "--root", lab.root, "--from", "wandb:lab/lit-resnet")
    assert theirs.returncode == 0, theirs.stderr
    folder = lab.root / "from-wandb" / "lab" / "lit-resnet" / "tiny"
    assert files(folder / "report") == files(write(Asked(grid, root=lab.root)).folder)


def test_another_training_of_the_same_cell_is_not_mixed_in(lab, grid, lines, wandb_server):
    run = begin(lab.finish("plain-20", 0, shortcut="none"), grid)
    assert lines.run("wandb", "sync", grid, "--root", lab.root).returncode == 0
    (there,) = wandb_server.runs.values()
    before = (list(there.history), dict(there.summary))
    begin(lab.finish("plain-20", 0, shortcut="none", test_error=1.0), grid, started=2e9)
    synced = lines.run("wandb", "sync", grid, "--root", lab.root)
    assert synced.returncode == 1
    assert "is of another training of the same cell; delete it there, or set WANDB_PROJECT" in synced.stderr
    assert (there.history, there.summary["test_error"]) == (before[0], before[1]["test_error"])
    assert run.summary().metrics["test_error"] == 1.0


@pytest.mark.parametrize("trouble", ["hang", "refuse", "malformed key", "dies"])
def test_whatever_wandb_does_there_is_one_line_and_the_files(lab, grid, lines, wandb_server, trouble):
    env = {"WANDB_API_KEY": "abc"} if trouble == "malformed key" else {}
    if trouble in ("hang", "refuse"):
        wandb_server.trouble = trouble
    if trouble == "dies":
        wandb_server.dies_after = 2
    run = begin(lab.run("plain-20", 0), grid)
    with run.locked():
        run.write_status(Status("running", started=1e9, step=1, max_steps=600))
        METRICS.replace(run.path, [{"step": 25 * k, "train_error": 50.0} for k in range(1, 7)])
        beside = lines.follow(grid, lab.root, "plain-20-seed0", **env)
        wait_until(lambda: list(run.wandb.glob("*run-*/*.wandb")))
        if trouble == "dies":
            wait_until(lambda: wandb_server.dies_after is None)
    begin(lab.finish("plain-20", 0, shortcut="none"), grid)
    ended = time.monotonic()
    words, log = beside.communicate("", timeout=150)
    assert beside.returncode == 0, log
    print(f"{trouble}: {time.monotonic() - ended:.1f} s after the end; {words}")
    (line,) = words.splitlines()
    assert line.startswith("W&B: ")
    assert line.endswith(f"later: lit-resnet wandb sync {grid} --root {lab.root}")
    assert list(run.wandb.glob("*run-*/*.wandb"))
    if trouble != "dies":
        assert list(run.wandb.glob("offline-run-*"))
    wandb_server.trouble = None
    synced = lines.run("wandb", "sync", grid, "--root", lab.root)
    assert "1 uploaded" in synced.stderr
    (there,) = wandb_server.runs.values()
    assert [row["_step"] for row in there.history] == [row["step"] for row in METRICS.read(run.path)]


def test_an_ensemble_is_mirrored_too(lab, lines, wandb_server):
    ensembles = {"six": {"cells": ["B", "deep"], "protocol": "multi-scale"}}
    cells = {name: {"data.source": "imagenet", "model.net.depth": depth} for name, depth in (("B", 34), ("deep", 50))}
    grid = lab.grid(cells, seeds=[0], report={"tables": ["table5"], "ensembles": ensembles})
    for name, depth in (("B", 34), ("deep", 50)):
        run = lab.photographs(name, depth=depth, shortcut="B", multi_scale=(21.0, 5.5), finished="2026-11-03T10:20:30")
        begin(run, grid)
    lab.ensemble("six", ["B-seed0", "deep-seed0"])
    synced = lines.run("wandb", "sync", grid, "--root", lab.root)
    assert "3 uploaded" in synced.stderr, synced.stderr
    (there,) = (run for run in wandb_server.runs.values() if run.job_type == "eval")
    assert (there.name, there.summary["top5_error"]) == ("six", 4.31)
    assert "0 uploaded" in lines.run("wandb", "sync", grid, "--root", lab.root).stderr
    theirs = lines.run("report", grid, "--root", lab.root, "--from", "wandb:lab/lit-resnet")
    assert theirs.returncode == 0, theirs.stderr
    here, there = (root / "tiny" / "report" for root in (lab.root, lab.root / "from-wandb" / "lab" / "lit-resnet"))
    assert files(there) == files(write(Asked(grid, root=lab.root)).folder)
    assert "4.31" in (here / "table5.csv").read_text()


def test_a_metric_that_is_declared_is_in_wandb_and_comes_back(lab, toy, lines, wandb_server):
    grid = lab.toy_grid(["small"], seeds=[0])
    begin(lab.finish_toy("small", 0, [0.1, 0.75, 0.5]), grid)

    def run(*args: str) -> subprocess.CompletedProcess:
        words = ", ".join(map(repr, map(str, args)))
        code = f"from lab import TASKS, TOY; TASKS['toy'] = TOY; from lit_resnet.cli import main; main([{words}])"
        env = lines.env | {"PYTHONPATH": str(Path(__file__).parent.parent / "rigs")}
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)

    synced = run("wandb", "sync", grid, "--root", lab.root)
    assert "1 uploaded" in synced.stderr, synced.stderr
    (there,) = wandb_server.runs.values()
    assert [row["quality"] for row in there.history] == [0.1, 0.75, 0.5]
    assert (there.summary["quality"], there.summary["best_quality"]) == (0.5, 0.75)
    assert not [key for key in there.summary if "error" in key and key != "error"]
    theirs = run("report", grid, "--root", lab.root, "--from", "wandb:lab/lit-resnet", "--format", "json")
    assert json.loads(theirs.stdout)[0]["quality_best"] == 0.5, theirs.stderr
    restored = RunFolder(lab.root / "from-wandb" / "lab" / "lit-resnet" / "toys" / "small-seed0")
    assert (restored.status().task, restored.status().newest) == ("toy", {"quality": 0.5})
    assert restored.summary() == lab.run("small", 0, "toys").summary()


def test_sync_says_what_is_wrong(lab, grid, lines, wandb_server, tmp_path):
    assert "no finished runs of tiny" in lines.run("wandb", "sync", grid, "--root", lab.root).stderr
    begin(lab.finish("plain-20", 0, shortcut="none"), grid)
    nobody = lines.run("wandb", "sync", grid, "--root", lab.root, WANDB_API_KEY="")
    assert (nobody.returncode, nobody.stderr.count("\n")) == (2, 1)
    assert "not logged in: run wandb login, or set WANDB_API_KEY" in nobody.stderr
    wrong = lines.run("wandb", "sync", grid, "--root", lab.root, WANDB_API_KEY="f" * 40)
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines()[-1].startswith("lit-resnet: W&B: ")
    for source, words in {
        "lab/lit-resnet": "write wandb:ENTITY/PROJECT",
        "wandb:lab/../x": "write wandb:ENTITY/PROJECT",
        "wandb:lab/nothing": "wandb:lab/nothing: no such project",
    }.items():
        made = lines.run("report", grid, "--root", lab.root, "--from", source)
        assert made.returncode == 2, made.stderr
        assert words in made.stderr.splitlines()[-1]
