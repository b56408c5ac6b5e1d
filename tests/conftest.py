"""What all tests share: their order, how their processes run, and a real Slurm."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_rig

# One thread a process: two test processes with two threads each, on two cores, would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Launches of other tests tell W&B nothing; tests/tracking is about that.
os.environ["WANDB_MODE"] = "disabled"
# Some containers forbid Python to keep what it has compiled. Then each import of lightning takes 15 s in place of 6 s.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = ["lab", "extending"]  # fixtures: made-up run folders, and additions that the docs show

LONGEST = (
    "test_launch.py",
    "test_tracked_launch.py",
    "test_mirror.py",
    "test_shipped_grids.py",
    "test_devices.py",
    "test_imagenet_runs.py",
    "test_detect.py",
    "test_run.py",
    "test_wandb_server.py",
)


def pytest_collection_modifyitems(items: list) -> None:
    """The longest files first: none is left to one of two workers at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has named by `--import` is unknown to the next one, as to the next process."""
    monkeypatch.setattr("lit_resnet.own_code._named", set())


@pytest.fixture(scope="session")
def slurm() -> Iterator[slurm_rig.Rig]:
    """A real Slurm of two nodes on this machine, to which this process and its children submit."""
    if missing := slurm_rig.missing():
        pytest.skip(f"Slurm is not installed: {missing} missing (Debian: apt install slurm-wlm munge)")
    rig = slurm_rig.Rig(Path(tempfile.mkdtemp(prefix="slurm-")))
    rig.folder.chmod(0o755)
    # Stopped by another process, when its stdin ends: with this one, even by kill -9.
    stop = [sys.executable, slurm_rig.__file__, "stop", str(rig.folder)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    guard = subprocess.Popen(["sh", "-c", 'cat; exec "$@"', "sh", *stop], stdin=subprocess.PIPE, **quiet)
    try:
        rig.start()
    except slurm_rig.Failed as error:
        pytest.skip(f"no Slurm can be started here: {error}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in rig.env.items():
            patch.setenv(name, value)
        yield rig
    guard.communicate()


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a launch are forked from the test, not from a server, which would import torch and lightning first."""
    from lit_resnet.launch import pool

    monkeypatch.setattr(pool, "CONTEXT", multiprocessing.get_context("fork"))
    monkeypatch.setattr(pool, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(pool, "start_server", lambda: None)


@pytest.fixture
def checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch to Slurm checks its cells in the test, for the same reason; its jobs have servers of their own."""
    from lit_resnet.launch import plan, pool

    monkeypatch.setattr(pool, "checked", lambda grid: (plan.check(grid), []))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
