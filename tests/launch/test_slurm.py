"""What is submitted to Slurm, what its queue says, and what it refuses; that runs survive it, see test_launch.py."""

import errno
import subprocess
from pathlib import Path

import pytest
import yaml
from lab import make_summary
from slurm_rig import Rig

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.cluster import Cluster
from lit_resnet.grid.grid import load
from lit_resnet.grid.status import Queued
from lit_resnet.launch import arrays, jobs
from lit_resnet.launch.arrays import Submission
from lit_resnet.launch.exits import Exit
from lit_resnet.launch.job import Job
from lit_resnet.runfolder import provenance
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status
from lit_resnet.sameness import digest

RECIPE = {
    "model": {"net": {"depth": 8}, "rate": {"milestones": [10]}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 16},
    "trainer": {"max_steps": 20, "val_check_interval": 10, "log_every_n_steps": 10},
}


def write_grid(folder: Path, **content) -> str:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"base": "recipe.yaml"} | content, sort_keys=False))
    return str(folder / "tiny.yaml")


def submission(path: str, root: Path, **cluster) -> Submission:
    asked = Asked(path, root=root)
    return Submission(asked, asked.grid, Cluster(**cluster))


@pytest.fixture(autouse=True)
def _checked_here(checked_here: None) -> None:
    """In all tests of this file."""


def finish(run: RunFolder, hours: float, config: dict) -> None:
    """Let a run be done, as far as a launcher can tell."""
    run.path.mkdir(parents=True)
    run.cell_file.write_text(yaml.safe_dump(config))
    run.write_summary(make_summary(steps=20, depth=8, batch_size=16, data="digits", wall_seconds=hours * 3600))
    status = run.status()
    status.state, status.digest = "done", digest(config)
    run.write_status(status)


def test_cells_that_need_the_same_are_an_array(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")  # without Slurm
    grid = write_grid(
        tmp_path,
        seeds=[0, 1],
        include={
            "short": {},
            "long": {"trainer.max_steps": 40},
            "cpu": {"trainer.accelerator": "cpu"},
            "two": {"trainer.devices": 2, "trainer.num_nodes": 3, "data.batch_size": 12},
        },
    )
    found = submission(grid, tmp_path, gres="gpu:a100", cpus=8, hours=6.0, parallel=5, runs_per_job=3, runs_per_gpu=2)
    text = found.dry_run()
    lists = [part.split("\n\n")[0].splitlines() for part in text.split("(cells.txt)\n")[1:]]
    assert lists == [
        ["# 0: long-seed0 long-seed1 short-seed0", "# 1: short-seed1"],
        ["# 0: cpu-seed0 cpu-seed1"],
        ["# 0: two-seed0", "# 1: two-seed1"],
    ]
    gpus, cpus, two = (part.splitlines() for part in text.split("#!/bin/bash")[1:])
    for option in ("gres=gpu:a100:1", "cpus-per-task=8", "time=6:00:00", "array=0-1%2", "requeue", "signal=USR1@120"):
        assert f"#SBATCH --{option}" in gpus
    assert [line[16:] for part in (cpus, two) for line in part if "--array" in line] == ["0-0%1", "0-1%2"]
    assert any(line.startswith("srun --cpus-per-task=8 ") for line in gpus), "srun does not take it from the script"
    assert not any("gres" in line for line in cpus)
    assert {"#SBATCH --nodes=3", "#SBATCH --ntasks-per-node=2", "#SBATCH --gres=gpu:a100:2"} <= set(two)
    assert not list(tmp_path.glob("tiny/*")), "a dry run leaves nothing"


def test_the_time_that_a_job_asks_for(tmp_path: Path, monkeypatch):
    """Of a finished run by the line through it, with a margin, in steps; at most what the file says."""
    monkeypatch.setenv("PATH", "/nowhere")
    path = write_grid(tmp_path, seeds=[0, 1], include={"a": {}, "b": {"trainer.max_steps": 60}})
    grid = load(path)
    finish(RunFolder(tmp_path / "tiny" / "a-seed0"), 1.0, grid.config(grid.cells[0]))

    def asked(**cluster) -> list[str]:
        return [line[15:] for line in submission(path, tmp_path, **cluster).dry_run().splitlines() if "--time=" in line]

    assert asked(hours=24.0) == ["8:00:00", "2:00:00"], "3 h and 1 h, half as much again and a quarter"
    assert asked(hours=24.0, runs_per_job=3) == ["12:00:00"], "7 h, one after the other"
    assert asked(hours=24.0, runs_per_job=3, runs_per_gpu=3) == ["8:00:00"], "no less than the longest"
    assert asked(hours=1.5) == ["1:30:00"]
    assert asked() == []


def test_a_dry_run_needs_no_cluster(tmp_path: Path, monkeypatch):
    """Commands of Slurm that cannot reach one, and a grid that was submitted before."""
    for command in ("squeue", "scontrol"):
        (tmp_path / command).write_text("#!/bin/sh\necho Unknown host: head >&2; exit 1\n")
        (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    path = write_grid(tmp_path, include={"a": {}})
    (tmp_path / "tiny" / "slurm").mkdir(parents=True)
    text = submission(path, tmp_path).dry_run()
    assert text.startswith("# as if nothing were queued: squeue refuses: Unknown host: head\n")
    assert "#SBATCH --array=0-0" in text


def test_a_grid_with_a_space_in_its_name_has_one_word_for_its_jobs():
    assert jobs.job_name("my grid, größer") == "lit-resnet-my_grid__gr__er"


def test_paths_that_slurm_would_read_otherwise(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    path = write_grid(tmp_path, include={"a": {}}, title="Depth\ntouch x")
    text = submission(path, tmp_path / "50%j").dry_run()
    assert f'#SBATCH --output="{tmp_path}/50%%j/tiny/slurm/WHEN/%a.txt"' in text
    assert "# Depth touch x\n" in text
    with pytest.raises(InputError, match="has a line break"):
        submission(path, tmp_path / "a\nb").dry_run()


def test_large_arrays_are_cut(tmp_path: Path, monkeypatch):
    path = write_grid(tmp_path, seeds=list(range(5)), include={"a": {}})
    monkeypatch.setattr(arrays, "most_tasks", lambda: 2)
    monkeypatch.setenv("PATH", "/nowhere")
    text = submission(path, tmp_path).dry_run()
    assert [line[16:] for line in text.splitlines() if "--array=" in line] == ["0-1", "0-1", "0-0"]


def test_queued_cancelled_and_launched_again(slurm: Rig, tmp_path: Path, capsys, monkeypatch):
    later = {"options": {"begin": "now+1hour"}, "runs_per_job": 2}
    grid = write_grid(tmp_path, seeds=[0, 1], include={"a": {}, "b": {}}, cluster=later)
    root = tmp_path / "ru ns"
    args = [grid, "--root", str(root)]

    def status() -> dict[str, list[str]]:
        capsys.readouterr()
        assert main(["status", *args, "--format", "csv"]) == 0
        rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
        return {f"{row[0]}{row[1]}": [row[2], row[-1]] for row in rows}

    assert main(["launch", *args, "--on", "slurm"]) == 0
    number = capsys.readouterr().out.strip()
    state, note = status()["a0"]
    assert (state, note.split(" (")[0]) == ("queued", f"job {number}_0 pending")
    assert len(slurm.run("squeue", "-h", "-r").splitlines()) == 2
    # Beside the jobs another value would make two runs of one name. Where the data are is none.
    elsewhere = ["--set", "data.root=/elsewhere", "--set", "model.rate.lr=0.5"]
    assert main(["launch", *args, "--on", "slurm", *elsewhere]) == 2
    assert f"is queued (job {number}_0) with another model.rate.lr (None, not 0.5)" in capsys.readouterr().err
    # A task that has another run to do stays.
    assert main(["cancel", *args, "a-seed0"]) == 0
    assert len(slurm.run("squeue", "-h", "-r").splitlines()) == 2
    assert RunFolder(root / "tiny" / "a-seed0").cancelled
    assert main(["cancel", *args]) == 0
    assert "4 asked to stop" in capsys.readouterr().err
    assert slurm.run("squeue", "-h", "-r") == ""
    assert {state for state, _ in status().values()} == {"cancelled"}
    assert main(["launch", *args, "--on", "slurm"]) == 0
    assert {state for state, _ in status().values()} == {"queued"}
    assert main(["cancel", *args, "a", "b"]) == 0
    assert main(["cancel", *args, "c"]) == 2
    assert "c: no cell of tiny" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ({"partition": "nope"}, "sbatch refuses: invalid partition specified: nope; Invalid partition name specified"),
        ({"gres": "tpu"}, "sbatch refuses: Invalid generic resource (gres) specification"),
        ({"constraint": "v100"}, "sbatch refuses: Invalid feature specification"),
        ({"options": {"nonsense": 1}}, "sbatch refuses: "),
    ],
)
def test_what_sbatch_refuses(slurm: Rig, tmp_path: Path, capsys, cluster: dict, message: str):
    grid = write_grid(tmp_path, include={"a": {}}, cluster=cluster)
    assert main(["launch", grid, "--on", "slurm", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"lit-resnet: {message}")
    assert not list((tmp_path / "tiny" / "slurm").glob("*")), "nothing is left of what was not submitted"
    assert slurm.run("squeue", "-h") == ""


def test_a_controller_that_does_not_answer(tmp_path: Path, monkeypatch):
    def failing(command: list[str], **_) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            command, 1, "", "slurm_load_jobs error: Unable to contact slurm controller\n"
        )

    monkeypatch.setattr(jobs.shutil, "which", lambda _: "/usr/bin/squeue")
    monkeypatch.setattr(jobs.subprocess, "run", failing)
    (tmp_path / "tiny" / "slurm").mkdir(parents=True)
    with pytest.raises(
        jobs.InputError, match="squeue refuses: slurm_load_jobs error: Unable to contact slurm controller"
    ):
        jobs.queue(tmp_path, ["tiny"])


def test_without_slurm(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    grid = write_grid(tmp_path, include={"a": {}})
    assert main(["launch", grid, "--on", "slurm", "--root", str(tmp_path)]) == 2
    assert "--on slurm: no sbatch on this machine; use a login node of the cluster" in capsys.readouterr().err
    assert main(["launch", grid, "--wait", "--root", str(tmp_path)]) == 2
    assert "--wait is for launch --on slurm; leave it out" in capsys.readouterr().err
    assert main(["launch", grid, "--on", "slurm", "--jobs", "2", "--root", str(tmp_path)]) == 2
    assert "--jobs is for launch --on local; leave it out" in capsys.readouterr().err


def test_a_root_that_cannot_be_written(slurm: Rig, tmp_path: Path, capsys):
    grid = write_grid(tmp_path, include={"a": {}})
    assert main(["launch", grid, "--on", "slurm", "--root", "/proc/runs"]) == 2
    assert "--root /proc/runs: cannot be written" in capsys.readouterr().err


def test_a_rank_leaves_alone_what_is_done_or_has_failed(tmp_path: Path, monkeypatch):
    """Its job may have been requeued while another one finished it."""
    run = RunFolder(tmp_path / "tiny" / "run")
    run.path.mkdir(parents=True)
    run.cell_file.write_text("{}")
    run.ask_to_stop()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    job = Job(Asked("tiny", root=tmp_path), None, None)
    assert job.run(["run"], 1, as_queued=True) == Exit.DONE
    status = run.status()
    status.state = "failed"
    run.write_status(status)
    assert job.run(["run"], 1, as_queued=True) == Exit.FAILED


def test_what_slurm_holds_back_since_a_node_failed_is_released(tmp_path: Path, monkeypatch, capsys):
    path = write_grid(tmp_path, include={"a": {}})
    grid = load(path)
    run = RunFolder(tmp_path / "tiny" / "a-seed0")
    run.path.mkdir(parents=True)
    run.write_status(Status(digest=digest(grid.config(grid.cells[0]))))
    held, released = Queued("7_0", False, "", "pending (launch failed requeued held)"), []
    monkeypatch.setattr(arrays.shutil, "which", lambda _: "/usr/bin/sbatch")
    monkeypatch.setattr(arrays, "queue_of", lambda *_: {"a-seed0": held})
    monkeypatch.setattr(arrays, "most_tasks", lambda: 1000)
    monkeypatch.setattr(arrays, "release", released.extend)
    said = []
    assert submission(path, tmp_path).submit(said.append) == []
    assert released == ["7_0"]
    assert said == ["released: 7_0, which a node had failed to start", "0 of 1 done, 1 under way, 0 to submit"]


def test_a_second_launch_queues_what_waits_with_the_code_as_it_is_now(tmp_path: Path, monkeypatch):
    path = write_grid(tmp_path, include={name: {} for name in ("waits", "runs", "fresh", "failed")})
    runs = {cell.name: RunFolder(tmp_path / "tiny" / cell.folder) for cell in load(path).cells}
    for name, run in runs.items():
        run.path.mkdir(parents=True)
        code = provenance.code() if name == "fresh" else "0123456789abcdef"
        config = load(path).config(next(cell for cell in load(path).cells if cell.name == name))
        failed = {"state": "failed", "error": "code changed"} if name == "failed" else {}
        run.write_status(Status(digest=digest(config), code=code, **failed))
    jobs_ = {runs[name].path.name: Queued("7_0", name == "runs", "", "") for name in ("waits", "runs", "fresh")}
    monkeypatch.setattr(arrays.shutil, "which", lambda _: "/usr/bin/sbatch")
    monkeypatch.setattr(arrays, "queue_of", lambda *_: jobs_)
    monkeypatch.setattr(arrays, "most_tasks", lambda: 1000)
    monkeypatch.setattr(arrays, "sbatch", lambda _: "8")
    said = []
    assert submission(path, tmp_path).submit(said.append) == ["8"]
    assert said[:2] == [
        "queued with the code as it is now: waits-seed0",
        "0 of 4 done, 3 under way, 1 to submit",
    ]
    now = {name: run.status() for name, run in runs.items()}
    assert {name for name, status in now.items() if status.code != provenance.code()} == {"runs"}
    assert (now["failed"].state, now["failed"].error) == ("queued", None)


def test_a_full_disk_is_told_in_a_line(slurm: Rig, tmp_path: Path, monkeypatch, capsys):
    def full(path: Path, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    grid = write_grid(tmp_path, include={"a": {}})
    monkeypatch.setattr(arrays, "write_whole", full)
    assert main(["launch", grid, "--on", "slurm", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err.replace("\n", "")
    assert "cell.yaml: No space left on device; make room, then run the same command again" in said
    assert slurm.run("squeue", "-h") == ""
