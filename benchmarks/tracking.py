"""What W&B costs a launch: the same grid with its files written offline and with nothing of W&B, in turns.

    python benchmarks/tracking.py GRID --set data.root=/data/cifar10 --set trainer.max_steps=300 --rounds 5

Each round launches the grid twice, in fresh run folders. Printed: the seconds of training that the summaries give and
those of the whole launch, the median of each, and the median of the ratios round by round; and, as other work on the
machine moves these by more than W&B may, the CPU seconds of W&B's processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODES = ("disabled", "offline")
LOOK_SECONDS = 0.2


def cpu_seconds(name: bytes) -> float:
    """Of the live processes with that in their command lines; Linux alone says."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name in (folder / "cmdline").read_bytes():
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        except OSError:  # it has ended
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def launch(grid: str, settings: list[str], mode: str) -> dict[str, float]:
    """Seconds of training, all runs together; of the launch; of CPU that W&B's processes took."""
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "lit_resnet", "launch", grid, "--root", root]
        command += [f"--set={setting}" for setting in settings]
        began, most = time.perf_counter(), 0.0
        with subprocess.Popen(command, env=os.environ | {"WANDB_MODE": mode}, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                most = max(most, cpu_seconds(b"lit_resnet.tracking.follow") + cpu_seconds(b"wandb-core"))
                time.sleep(LOOK_SECONDS)
        assert process.returncode == 0
        whole = time.perf_counter() - began
        summaries = [json.loads(path.read_text()) for path in Path(root).glob("*/*/summary.json")]
        written = list(Path(root).glob("*/*/wandb/offline-run-*/*.wandb"))
        assert len(written) == (len(summaries) if mode == "offline" else 0)
        training = sum(summary["wall_seconds"] for summary in summaries)
        return {"training": training, "launch": whole, "W&B's CPU": most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", metavar="GRID", help="path or shipped name")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="as for lit-resnet launch")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = parser.parse_args()

    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    for number in range(args.rounds):
        for mode in MODES if number % 2 == 0 else reversed(MODES):  # whichever is first finds a cooler machine
            found[mode].append(launch(args.grid, args.set, mode))
            seconds = ", ".join(f"{what} {value:.1f} s" for what, value in found[mode][-1].items())
            print(f"round {number + 1}, W&B {mode}: {seconds}", flush=True)
    for what in ("training", "launch"):
        without, offline = ([one[what] for one in found[mode]] for mode in MODES)
        ratios = [b / a for a, b in zip(without, offline, strict=True)]
        print(
            f"{what}: {statistics.median(without):.1f} s without W&B, {statistics.median(offline):.1f} s offline, "
            f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )
    cpu = statistics.median(one["W&B's CPU"] for one in found["offline"])
    print(f"W&B's processes: {cpu:.1f} s of CPU")


if __name__ == "__main__":
    main()
