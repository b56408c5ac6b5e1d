"""`lit-resnet lesion`: trained nets judged again without some of their blocks (Veit, Wilber, Belongie 2016)."""

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import torch

from lit_resnet.errors import InputError
from lit_resnet.evaluation.alone import judged_alone
from lit_resnet.evaluation.lesions import errors, planned
from lit_resnet.evaluation.progress import progress
from lit_resnet.listing import Columns, Row, percent
from lit_resnet.nets import ResNet
from lit_resnet.probes.device import gpu_or_cpu
from lit_resnet.probes.lesions import places
from lit_resnet.run.models import check_trained_on, load_newest, newest, place, untrained
from lit_resnet.run.run import Tested
from lit_resnet.runfolder import lesions
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lesions import CHANGED, KEPT, Lesion
from lit_resnet.runfolder.records import LESIONS
from lit_resnet.training.iterations import TaskData

MOST = 1000  # draws of a number of blocks, and blocks at once
ANY = "any"  # in place of a block's name: blocks that were drawn

TITLE = "Test error (%) without some of the blocks"
NOTE = """\
A residual block that is taken out passes on its shortcut alone, one of a plain net its input (subsampled and padded
with zeros where dimensions change). any: blocks that keep dimensions, all of them or drawn at random; std, lowest and
highest are over these. lesions.csv in the run's folder has each draw."""


def lesion(runs: Sequence[Path], most: int, draws: int, seed: int) -> list[Row]:
    """Judge the newest checkpoints of runs without some of their blocks, and keep that as lesions.csv of each run.

    Args:
        runs: Run folders.
        most: Blocks that are taken out at once, at most.
        draws: Draws of each number of blocks, from two on.
        seed: Seed of the draws.

    Returns:
        Of each run the whole net, each block alone, and each number of blocks at once.

    Raises:
        InputError: The arguments are out of range, a folder has no run, no checkpoint, or one of a net without blocks;
            an image is missing or damaged, a folder cannot be written, or another process judges the run.
    """
    _check(runs, most, draws)
    folders = [RunFolder(run) for run in runs]
    for folder in folders:
        _subject(folder)
        newest(folder)
    return [row for folder in folders for row in _rows(folder, *_measured(folder, most, draws, seed))]


def _check(runs: Sequence[Path], most: int, draws: int) -> None:
    """Refuse arguments before anything is loaded."""
    paths = [os.path.realpath(run) for run in runs]
    if twice := next((run for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1), None):
        raise InputError(f"{twice}: is there twice; write every run once")
    for option, value in (("--most", most), ("--draws", draws)):
        if not 1 <= value <= MOST:
            raise InputError(f"{option} is {value}: write 1 to {MOST}; --most 1 takes out single blocks alone")


def _subject(folder: RunFolder) -> tuple[TaskData, ResNet]:
    """The data of a run, and its net with fresh weights.

    Raises:
        InputError: No run, or one of a net that has no blocks.
    """
    data, net = untrained(folder)
    if not isinstance(data, Tested):
        raise InputError(f"{folder.path}: lesions are of nets that classify, and this run is of another task")
    if not isinstance(net, ResNet):
        raise InputError(f"{folder.path}: {net.config} has no blocks to take out; give runs of plain and residual nets")
    return data, net


def _measured(folder: RunFolder, most: int, draws: int, seed: int) -> tuple[str, list[Lesion]]:
    """The name of a run's net, and its errors without these blocks, which are also kept in the run's folder."""
    data, net = _subject(folder)
    assert isinstance(data, Tested)  # see `_subject`
    checkpoint, digest = load_newest(folder, net)
    check_trained_on(data, checkpoint)
    device = gpu_or_cpu()
    net.to(device).to(memory_format=torch.channels_last).eval()
    data.setup("test")
    home = place(folder, data.test_digest() or "", named=False)
    batches = data.test_batches(device)
    with judged_alone(home, home.scores):
        blocks = places(net, torch.zeros(1, *data.image_shape, device=device))
        plan = [(), *planned(blocks, most, draws, seed)]
        words = f"{net.config}: {len(blocks)} blocks alone, {len(plan) - 1 - len(blocks)} draws of several"
        with progress(words, data.test_count() * len(plan), 0) as advance:
            found = errors(net, plan, batches, advance)
        kept = [
            Lesion(tuple(block.name for block in taken), all(block.keeps for block in taken), error)
            for taken, error in zip(plan, found, strict=True)
        ]
        try:
            lesions.keep(home.path, digest, kept)
        except OSError as error:
            print(f"warning: {LESIONS.file(home.path)}: not written ({error.strerror})", file=sys.stderr)
    return str(net.config), kept


def _rows(folder: RunFolder, net: str, found: Sequence[Lesion]) -> list[Row]:
    """The whole net and each block alone, a row each, and a row for each number of blocks that keep dimensions."""
    rows = [_row(folder, net, " ".join(one.blocks) or "none", [one]) for one in found if one.removed < 2]
    numbers: dict[int, list[Lesion]] = defaultdict(list)
    for one in found:
        if one.removed and one.keeps:
            numbers[one.removed].append(one)
    return rows + [_row(folder, net, ANY, lesions) for lesions in numbers.values()]


def _row(folder: RunFolder, net: str, blocks: str, lesions: Sequence[Lesion]) -> Row:
    values = [one.error for one in lesions]
    several = len(values) > 1
    return {
        "run": str(folder.path),
        "net": net,
        "removed": lesions[0].removed,
        "block": blocks,
        "dimensions": KEPT if lesions[0].keeps else CHANGED,
        "draws": len(values),
        "error": round(fmean(values), 4),
        "std": round(stdev(values), 4) if several else None,
        "lowest": round(min(values), 4),
        "highest": round(max(values), 4),
    }


COLUMNS: Columns = {
    "net": lambda r: r["net"],
    "run": lambda r: r["run"],
    "removed": lambda r: str(r["removed"]),
    "block": lambda r: r["block"] + (", changes dimensions" if r["dimensions"] == CHANGED else ""),
    "draws": lambda r: str(r["draws"]) if r["block"] == ANY else "",
    "error": lambda r: percent(r["error"]),
    "std": lambda r: "" if r["std"] is None else percent(r["std"]),
    "lowest": lambda r: percent(r["lowest"]) if r["draws"] > 1 else "",
    "highest": lambda r: percent(r["highest"]) if r["draws"] > 1 else "",
}
