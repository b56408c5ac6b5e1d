"""Kill a run again and again at random moments: it must end with the weights of one that nobody disturbed, bit for bit.

    python benchmarks/kills.py --kills 20
    python benchmarks/kills.py --config bccd --data BCCD_Dataset/BCCD --steps 60 --kills 10     # a detector

Two runs of one `lit-resnet fit` command, on images of 32x32 pixels or with a config, on one thread each. The first is
left alone. The other one's whole process group gets SIGKILL after a random time, from none to that of a start-up and
`--alive` seconds, and the same command is given again; when it was killed often enough it is left to finish. Exit code
1 if a weight or a figure of the two runs differs (all but times), or if a command fails.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lit_resnet import task
from lit_resnet.runfolder import records
from lit_resnet.runfolder.folder import RunFolder


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
    """A run's command, in a folder of its own.

    Args:
        path: The folder.
        what: The options that say what is trained.
        steps: Iterations.
    """

    def __init__(self, path: Path, what: list[str], steps: int) -> None:
        self.folder = RunFolder(path)
        self.command = [sys.executable, "-m", "lit_resnet", "fit", *what, "--trainer.accelerator", "cpu"]
        self.command += ["--model.rate.milestones", f"[{steps // 2}]", "--trainer.max_steps", str(steps)]
        self.command += ["--trainer.val_check_interval", str(steps // 4), "--trainer.default_root_dir", str(path)]
        self.command += ["--trainer.log_every_n_steps", str(steps // 20)]
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
    metrics = records.metrics(task.of(a.config()))
    rows, others = ([row | {"images_per_second": None} for row in metrics.read(run.path)] for run in (a, b))
    if rows != others:
        return "metrics.csv"
    ours, theirs = ({str(path.relative_to(run.path)): path for path in _tables(run)} for run in (a, b))
    names = sorted(ours.keys() | theirs.keys())
    return next((name for name in names if _bytes(ours.get(name)) != _bytes(theirs.get(name))), None)


def _tables(run: RunFolder) -> Iterator[Path]:
    """All other tables of a run: responses, signals, gates, predictions, detections, precision, blocks."""
    yield from (path for path in run.path.rglob("*") if path.suffix in (".csv", ".npy") and path.name != "metrics.csv")
    yield from run.path.glob("blocks.json")


def _bytes(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="default: %(default)s")
    parser.add_argument(
        "--data", type=Path, help="images, train/<class>/* and test/<class>/* (default: random), or the config's"
    )
    parser.add_argument("--config", help="what is trained, a file or the name of a recipe, in place of a ResNet")
    parser.add_argument("--depth", type=int, help="layers of the ResNet (default: 20)")
    parser.add_argument("--steps", type=int, default=400, help="iterations (default: %(default)s)")
    parser.add_argument(
        "--alive", type=float, default=15, help="seconds of training before a kill, at most (default: 15)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    args = parser.parse_args()
    if args.config and args.depth:
        parser.error("--depth is for a ResNet on images: leave it out, or --config")
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as path:
        place = Path(path)
        images = args.data or place / "images"
        if args.data is None and args.config is None:
            write_images(images)
        what = ["--data.root", str(images)]
        if args.config:
            what = ["--config", args.config, *(what if args.data else [])]
        else:
            what += ["--data.source", "folder", "--data.image_size", "32", "--model.net.depth", str(args.depth or 20)]
        undisturbed, killed = (Fit(place / name, what, args.steps) for name in ("undisturbed", "killed"))
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
