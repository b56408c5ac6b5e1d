"""How many threads and which cores a run has: OMP_NUM_THREADS says so, or the runs share the cores out."""

import os
from pathlib import Path

import pytest
import yaml

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.launch import pool, worker
from lit_resnet.launch.exits import Exit
from lit_resnet.launch.local import _Launch


@pytest.mark.parametrize(
    ("said", "cores", "jobs", "expected"),
    [
        (None, 2, 1, [(2, (0, 1))]),
        (None, 4, 2, [(2, (0, 1)), (2, (2, 3))]),
        (None, 2, None, [(1, (0,)), (1, (1,))]),
        ("", 2, 1, [(2, (0, 1))]),
        ("1", 2, 1, [(1, (0, 1))]),  # the other core is for processes that read images
        ("1", 4, 2, [(1, (0, 1)), (1, (2, 3))]),
        ("2", 4, None, [(2, (0, 1)), (2, (2, 3))]),
        ("3", 2, 2, [(3, (0, 1)), (3, (0, 1))]),
        ("3", 4, 2, [(3, (0, 1, 2)), (3, (3, 0, 1))]),
        ("16", 2, None, [(16, (0, 1))]),
    ],
)
def test_threads_and_cores_of_a_launch(said: str | None, cores: int, jobs: int | None, expected: list, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(pool, "cores", lambda: tuple(range(cores)))
    asked = Asked("fig6")
    places = _Launch(asked, asked.grid, jobs, None, lambda *_: None)._places(runs=20, gpus=0)
    assert [(place.threads, place.cores) for place in places] == expected


def test_runs_on_gpus_have_as_many_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(pool, "cores", lambda: tuple(range(16)))
    asked = Asked("fig6")
    places = _Launch(asked, asked.grid, None, 2, lambda *_: None)._places(runs=20, gpus=2)
    assert [(place.threads, len(place.cores), place.gpu) for place in places] == [(3, 4, 0), (3, 4, 1)] * 2


@pytest.mark.parametrize("said", ["0", "-1", "1.5", "two", "4,2", "99999", " "])
def test_what_is_no_number_of_threads_is_refused(said: str, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    with pytest.raises(InputError, match="^OMP_NUM_THREADS is .*: write a whole number from 1 to 9999, or unset it$"):
        pool.threads()


@pytest.fixture
def args(tmp_path: Path) -> list[str]:
    (tmp_path / "base.yaml").write_text("{}")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"a": {}}}))
    return [str(tmp_path / "tiny.yaml"), "--root", str(tmp_path / "runs")]


@pytest.mark.parametrize("verb", [["launch"], ["run", "a"]])
def test_it_is_refused_before_anything_is_written(verb: list[str], args: list[str], monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert main([verb[0], *args, *verb[1:]]) == 2
    assert capsys.readouterr().err.startswith("lit-resnet: OMP_NUM_THREADS is many: write ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("environment", "side_by_side", "threads"),
    [
        ({}, 1, 1),
        ({"OMP_NUM_THREADS": "3"}, 1, 3),
        ({"OMP_NUM_THREADS": "3"}, 2, 3),
        ({"SLURM_CPUS_PER_TASK": "8", "OMP_NUM_THREADS": "3"}, 2, 4),
        ({"SLURM_CPUS_PER_TASK": "1"}, 2, 1),
    ],
)
def test_threads_of_a_job(
    environment: dict[str, str],
    side_by_side: int,
    threads: int,
    args: list[str],
    forked: None,
    tmp_path: Path,
    monkeypatch,
):
    def run(config: dict, path: Path, *place: object) -> None:
        (tmp_path / "place").write_text(repr(place))
        os._exit(Exit.FAILED)

    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pool, "checked", lambda grid: ([], []))
    monkeypatch.setattr(worker, "run", run)
    assert main(["run", *args, "a", "--runs-per-gpu", str(side_by_side)]) == Exit.FAILED
    assert (tmp_path / "place").read_text() == f"({threads}, None, None)"
