"""What W&B costs a launch: the same grid with its files written offline and with nothing of W&B, in turns.

    python benchmarks/tracking.py GRID --set data.root=/data/cifar10 --set trainer.max_steps=300 --rounds 5

Each round launches the grid twice, in fresh run folders. Printed: the seconds of training that the summaries give and
those of the whole launch, the median of each, and the median of the ratios round by round.
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


def launch(grid: str, settings: list[str], mode: str) -> tuple[float, float]:
    """Seconds of training, all runs together, and of the launch."""
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "lit_resnet", "launch", grid, "--root", root]
        command += [f"--set={setting}" for setting in settings]
        began = time.perf_counter()
        subprocess.run(command, env=os.environ | {"WANDB_MODE": mode}, check=True, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - began
        summaries = [json.loads(path.read_text()) for path in Path(root).glob("*/*/summary.json")]
        written = list(Path(root).glob("*/*/wandb/offline-run-*/*.wandb"))
        assert len(written) == (len(summaries) if mode == "offline" else 0)
        return sum(summary["wall_seconds"] for summary in summaries), whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", metavar="GRID", help="path or shipped name")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="as for lit-resnet launch")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = parser.parse_args()

    found: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
    for number in range(args.rounds):
        for mode in MODES if number % 2 == 0 else reversed(MODES):  # whichever is first finds a cooler machine
            training, whole = launch(args.grid, args.set, mode)
            found[mode].append((training, whole))
            print(f"round {number + 1}, W&B {mode}: training {training:.1f} s, launch {whole:.1f} s", flush=True)
    for i, what in enumerate(("training", "launch")):
        without, offline = ([seconds[i] for seconds in found[mode]] for mode in MODES)
        ratios = [b / a for a, b in zip(without, offline, strict=True)]
        print(
            f"{what}: {statistics.median(without):.1f} s without W&B, {statistics.median(offline):.1f} s offline, "
            f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
