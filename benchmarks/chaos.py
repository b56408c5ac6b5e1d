"""Disturb a grid on a real Slurm at random, again and again: nothing may be lost, doubled or different.

    python benchmarks/chaos.py --disturbances 100 --seed 0

Needs root and Debian's packages slurm-wlm and munge: the cluster of the tests, two nodes on this machine, and a small
disk in memory that can be filled. Eight runs of digits are launched on it in two jobs. Every few seconds something
happens: kill -9 of a run or of a whole job, a requeue, Slurm's warning that the time is over, kill -9 of a node's
slurmd, a disk that is full for some seconds. When the runs are done all is removed and launched anew, as often as it
takes for so many disturbances. A run that died three times at one place is launched again, and counted.

All runs are then compared with those of a local launch that nobody disturbed: bit for bit, but for times. Exit code 1
if a run is lost, if a row of metrics.csv is missing or doubled, or if anything differs.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import CLASSIFICATION

METRICS = records.metrics(CLASSIFICATION)

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "tests")]
from kills import difference  # noqa: E402
from slurm_rig import NODES, Rig  # noqa: E402

RECIPE = {
    "model": {"net": {"depth": 8}, "signals_every": 150},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 32},
    "trainer": {"val_check_interval": 100, "log_every_n_steps": 20, "accelerator": "cpu"},
}
CLUSTER = {"cpus": 1, "runs_per_job": 4, "runs_per_gpu": 2}
# How often what happens, of a hundred.
SHARES = {"run killed": 50, "disk full": 20, "requeued": 10, "warned": 10, "job killed": 5, "node killed": 5}


class Chaos:
    """A grid on a cluster of its own, both in `place`."""

    def __init__(self, place: Path, steps: int, rng: random.Random) -> None:
        self.place, self.rng = place, rng
        self.disk = place / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(self.disk)], check=True)
        RECIPE["model"]["rate"] = {"milestones": [steps // 2]}
        RECIPE["trainer"]["max_steps"] = steps
        (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
        grid = {
            "base": "recipe.yaml",
            "seeds": [0, 1, 2, 3],
            "matrix": {"model.net.shortcut": {"plain": "none", "residual": "A"}},
            "cluster": CLUSTER,
        }
        (place / "chaos.yaml").write_text(yaml.safe_dump(grid))
        self.cells = [f"{kind}-seed{seed}" for kind in ("plain", "residual") for seed in grid["seeds"]]
        self.rig = Rig(place / "slurm")
        self.environment = os.environ | self.rig.env | {"OMP_NUM_THREADS": "1"}
        self.happened: Counter[str] = Counter()
        self.given_up = 0

    def runs(self) -> list[RunFolder]:
        return [RunFolder(self.disk / "runs" / "chaos" / cell) for cell in self.cells]

    def running(self) -> list[RunFolder]:
        return [run for run in self.runs() if run.status().state == "running"]

    def launch(self, *options: str) -> str:
        """`lit-resnet launch` of the grid; what it prints to stdout."""
        command = [sys.executable, "-m", "lit_resnet", "launch", str(self.place / "chaos.yaml"), *options]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stderr}")
        return done.stdout

    def round(self, enough: int) -> None:
        """Launch the grid and disturb it until it is done."""
        shutil.rmtree(self.disk / "runs", ignore_errors=True)
        self.launch("--on", "slurm", "--root", str(self.disk / "runs"))
        while True:
            while queue := self.rig.run("squeue", "-h", "-r", "-o%i %r %T").split("\n")[:-1]:
                time.sleep(self.rng.uniform(0.5, 5))
                if all("held" in line for line in queue):  # by Slurm, since a node failed to start them
                    self.launch("--on", "slurm", "--root", str(self.disk / "runs"))
                # While all jobs start there is nothing to lose, and nobody would ever get further.
                if sum(self.happened.values()) < enough and self.running():
                    self.disturb([line.split()[0] for line in queue if line.endswith("RUNNING")])
            failed = [run for run in self.runs() if run.status().state == "failed"]
            if all(run.summary() for run in self.runs()):
                return
            if not failed:  # it was lost, which the comparison will tell
                return
            self.given_up += len(failed)
            self.launch("--on", "slurm", "--root", str(self.disk / "runs"))

    def disturb(self, jobs: list[str]) -> None:
        """Let something happen, if it can happen now."""
        what = self.rng.choices(list(SHARES), SHARES.values())[0]
        happens: dict[str, Callable[[list[str]], bool]] = {
            "run killed": self._kill_run,
            "disk full": self._fill_disk,
            "requeued": lambda jobs: self._tell(jobs, "scontrol", "requeue"),
            "warned": lambda jobs: self._tell(jobs, "scancel", "--signal=USR1"),
            "job killed": self._kill_job,
            "node killed": self._kill_node,
        }
        if happens[what](jobs):
            self.happened[what] += 1
            print(f"{sum(self.happened.values())}: {what}", flush=True)

    def _kill_run(self, jobs: list[str]) -> bool:
        running = self.running()
        return bool(running) and _kill(self.rng.choice(running).status().pid)

    def _kill_job(self, jobs: list[str]) -> bool:
        """The process that watches over the runs of a job."""
        found = subprocess.run(["pgrep", "-f", f"lit_resnet run {self.place}"], capture_output=True, text=True)
        watching = [int(pid) for pid in found.stdout.split() if "srun" not in Path(f"/proc/{pid}/comm").read_text()]
        return bool(watching) and _kill(self.rng.choice(watching))

    def _kill_node(self, jobs: list[str]) -> bool:
        node = self.rng.choice(NODES)
        self.rig.kill_node(node)
        time.sleep(self.rng.choice([1, 1, 30]))  # after half a minute Slurm takes the node for dead
        self.rig.start_node(node)
        return True

    def _fill_disk(self, jobs: list[str]) -> bool:
        filling = self.disk / "filling"
        with filling.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(2**16)):
                    pass
            except OSError:
                time.sleep(self.rng.uniform(1, 8))
        filling.unlink()
        return True

    def _tell(self, jobs: list[str], *command: str) -> bool:
        return bool(jobs) and not self.rig.run(*command, self.rng.choice(jobs)).strip()

    def end(self) -> None:
        self.rig.stop()
        subprocess.run(["umount", str(self.disk)], check=False)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def compare(alone: Path, runs: list[RunFolder]) -> tuple[int, int, int]:
    """Runs that are lost, rows of metrics.csv that are missing or doubled, and runs that differ in a bit."""
    lost = rows = different = 0
    for run in runs:
        reference = RunFolder(alone / "chaos" / run.path.name)
        if not run.summary():
            print(f"LOST: {run.path.name}: {run.status().state}, {run.status().error}")
            lost += 1
            continue
        steps, wanted = (Counter(row["step"] for row in METRICS.read(one.path)) for one in (run, reference))
        rows += sum(abs(steps[step] - wanted[step]) for step in steps | wanted)
        if found := difference(reference, run):
            print(f"DIFFERENT: {run.path.name}: {found}")
            different += 1
    return lost, rows, different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disturbances", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=1500, help="iterations of a run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what happens, and when (default: %(default)s)")
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        Path(place).chmod(0o755)  # munge insists
        chaos = Chaos(Path(place), args.steps, random.Random(args.seed))
        chaos.rig.folder.mkdir()
        totals, rounds, attempts = [0, 0, 0], 0, 0
        try:
            chaos.launch("--root", str(chaos.place / "alone"), "--jobs", "2")
            chaos.rig.start()
            while sum(chaos.happened.values()) < args.disturbances:
                chaos.round(args.disturbances)
                totals = [a + b for a, b in zip(totals, compare(chaos.place / "alone", chaos.runs()), strict=True)]
                attempts += sum(run.status().attempts for run in chaos.runs())
                rounds += 1
        finally:
            chaos.end()
    happened = ", ".join(f"{number} times {what}" for what, number in chaos.happened.most_common())
    print(f"{sum(chaos.happened.values())} disturbances in {(time.monotonic() - started) / 60:.0f} min: {happened}")
    print(f"{rounds * len(chaos.cells)} runs in {attempts} attempts; died three times at one place: {chaos.given_up}")
    print(f"cells lost: {totals[0]}")
    print(f"metrics rows missing or doubled: {totals[1]}")
    print(f"runs not bit-identical: {totals[2]}")
    sys.exit(1 if any(totals) else 0)


if __name__ == "__main__":
    main()
