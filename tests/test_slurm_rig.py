"""The cluster that the tests of Slurm are run on."""

import time
from pathlib import Path

from slurm_rig import Rig


def test_gpus_are_counted(slurm: Rig, tmp_path: Path):
    """Of four tasks with a GPU each two go to each node, though one node has CPUs for all."""
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\nsleep 1\necho $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES\n")
    said = slurm.run("sbatch", "--array=0-3", "--gres=gpu:1", f"--output={tmp_path}/%a.txt", str(script))
    assert said.startswith("Submitted")
    end = time.monotonic() + 60
    while slurm.run("squeue", "-h").strip():
        assert time.monotonic() < end, slurm.run("squeue")
        time.sleep(0.1)
    assert sorted(path.read_text() for path in tmp_path.glob("*.txt")) == ["n1 0\n", "n1 1\n", "n2 0\n", "n2 1\n"]
