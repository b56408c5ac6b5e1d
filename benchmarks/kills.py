"""Kill a run again and again at random moments: it must end with the weights of one that nobody disturbed, bit for bit.

    python benchmarks/kills.py --kills 20

Two runs of one `lit-resnet fit` command, 32x32 images, on one thread each. The first is left alone. The other one's
whole process group gets SIGKILL after a random time, from none to that of a start-up and `--alive` seconds, and the
same command is given again; when it was killed often enough it is left to finish. Exit code 1 if a weight or a figure
of the two runs differs (all but times), or if a command fails.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES
from lit_resnet.task import CLASSIFICATION

METRICS = records.metrics(CLASSIFICATION)


def write_images(root: Path) -> None:
    """A folder of random images: 4 classes, 256 images to train on and 64 to test on of each."""
    rng = np.random.default_rng(0)
    for split, images in (("train", 256), ("test", 64)):
        for label in range(4):
            folder = root / split / str(label)
            folder.mkdir(parents=True)
            for i in range(images):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i}.png")


class Fit:
    """A run's command, in a folder of its own."""

    def __init__(self, path: Path, images: Path, depth: int, steps: int) -> None:
        self.folder = RunFolder(path)
        self.command = [sys.executable, "-m", "lit_resnet", "fit", "--trainer.accelerator", "cpu"]
        self.command += ["--data.source", "folder", "--data.root", str(images), "--data.image_size", "32"]
        self.command += ["--model.net.depth", str(depth), "--model.rate.milestones", f"[{steps // 2}]"]
        self.command += ["--trainer.max_steps", str(steps), "--trainer.val_check_interval", "50"]
        self.command += ["--trainer.log_every_n_steps", "20", "--trainer.default_root_dir", str(path)]
        # One thread: sums of floats depend on their number. The cache of images stays out of the user's home.
        self.environment = os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(path.parent / "cache")}
        self.log = path.parent / f"{path.name}.txt"

    def start(self) -> subprocess.Popen:
        with self.log.open("a") as log:
            return subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def starting_up(self, process: subprocess.Popen) -> float:
        """Wait until the run trains; the seconds that it took."""
        started = time.monotonic()
        while process.poll() is None and self.folder.status().step == 0:
            time.sleep(0.2)
        return time.monotonic() - started

    def finish(self) -> None:
        """Run the command to its end."""
        process = self.start()
        process.wait()
        self.check(process)

    def check(self, process: subprocess.Popen) -> None:
        if process.returncode != 0:
            sys.exit(f"{' '.join(self.command)}\nended with exit code {process.returncode}:\n{self.log.read_text()}")

    def kill(self, after: float) -> str | None:
        """Run the command and kill it after so many seconds; where it was, or None if it was done before."""
        started, process = time.time(), self.start()
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            status = self.folder.status()
            return f"iteration {status.step}" if (status.heartbeat or 0) > started else "in its start-up"
        finally:
            end(process)
        self.check(process)
        return None


def end(process: subprocess.Popen) -> None:
    """Kill a process and those that it started, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def difference(a: RunFolder, b: RunFolder) -> str | None:
    """The first thing in which the outcomes of two runs differ, in any bit; None where there is none."""
    ours, theirs = (torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in (a, b))
    if ours.keys() != theirs.keys():
        return "the names of the weights"
    for name, weight in ours.items():
        if weight.numpy().tobytes() != theirs[name].numpy().tobytes():
            return f"weight {name}"
    rows, others = ([row | {"images_per_second": None} for row in METRICS.read(run.path)] for run in (a, b))
    if rows != others:
        return "metrics.csv"
    return None if RESPONSES.read(a.path) == RESPONSES.read(b.path) else "the layer responses"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="default: %(default)s")
    parser.add_argument(
        "--data", type=Path, help="folder of images, train/<class>/* and test/<class>/*; default: random"
    )
    parser.add_argument("--depth", type=int, default=20, help="layers of the ResNet (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="iterations of 128 images (default: %(default)s)")
    parser.add_argument(
        "--alive", type=float, default=15, help="seconds of training before a kill, at most (default: 15)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as path:
        place = Path(path)
        images = args.data or place / "images"
        if args.data is None:
            write_images(images)
        undisturbed, killed = (Fit(place / name, images, args.depth, args.steps) for name in ("undisturbed", "killed"))
        left_alone = undisturbed.start()
        try:
            longest = undisturbed.starting_up(left_alone) + args.alive
            for number in range(1, args.kills + 1):
                after = rng.uniform(0, longest)
                where = killed.kill(after)
                if where is None:
                    sys.exit(f"done after {number - 1} kills: give more --steps")
                print(f"kill {number}: after {after:.1f} s, {where}", flush=True)
            killed.finish()
            left_alone.wait()
            undisturbed.check(left_alone)
        finally:
            end(left_alone)
        found = difference(undisturbed.folder, killed.folder)
        attempts = killed.folder.status().attempts
    if found:
        sys.exit(f"DIFFERENT after {args.kills} kills: {found}")
    print(
        f"identical: {args.steps} iterations in {attempts} attempts end with the weights and figures of one run alone"
    )


if __name__ == "__main__":
    main()
