"""`lit-resnet evaluate`: errors of runs and of published weights, alone and as an ensemble."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from lit_resnet.data.module import MOST_BATCH, ImageData
from lit_resnet.data.photographs import MOST_WORKERS
from lit_resnet.data_sets import MOST_PIXELS
from lit_resnet.errors import InputError, check_range
from lit_resnet.evaluation import Testing
from lit_resnet.evaluation.images import TestImages
from lit_resnet.evaluation.judge import BATCH_SIZE, Errors, Judged, judge
from lit_resnet.listing import Columns, Row, count, percent
from lit_resnet.nets import Net
from lit_resnet.probes.device import gpu_or_cpu
from lit_resnet.run import models
from lit_resnet.run.last import Last
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.zoo import existing

TITLE = "Error on the test images (%)"
NOTE = """\
center: the crop in the middle. ten-crop: it, the corners, and their mirror images. multi-scale: the fully-convolutional
form and mirror images at several sizes. Averaged are the scores after softmax; a tie counts against the net."""


def rows(args: argparse.Namespace) -> list[Row]:
    """As `evaluate`, with the arguments of `lit-resnet evaluate`."""
    if args.refine or args.submission:
        raise InputError("--refine, --submission: they are for detectors; leave them out")
    return evaluate(
        args.models,
        args.protocol or ["center"],
        scales=args.scales,
        ensemble=args.ensemble,
        weights=args.weights,
        root=args.data,
        batch_size=BATCH_SIZE if args.batch_size is None else args.batch_size,
        workers=args.workers,
    )


def evaluate(
    runs: Sequence[Path],
    protocols: Sequence[Testing],
    scales: Sequence[int] | None = None,
    ensemble: bool = False,
    weights: Sequence[float] | None = None,
    root: Path | None = None,
    workers: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[Row]:
    """A row for each run and protocol, and for the ensemble of all.

    Args:
        runs: Run folders, files of weights, and names of the model zoo.
        protocols: How they are judged.
        scales: Shorter sides for `multi-scale`; None for the paper's.
        ensemble: Whether they also make an ensemble.
        weights: How much of each run's scores the ensemble takes, in proportion; None for as much of each.
        root: Folder of the images; None for those of the runs' configs.
        workers: Processes that read photographs; None for as many as the cores can use.
        batch_size: Crops of a forward pass.

    Raises:
        InputError: The arguments do not fit each other or the runs, or a file is missing or damaged.
    """
    _check(runs, protocols, scales, ensemble, weights, workers, batch_size)
    nets = [models.model(run, root) for run in runs]
    shares = (weights or [1.0] * len(nets)) if ensemble else None
    found = judge(nets, protocols, gpu_or_cpu(), scales, shares, batch_size, workers)
    names = [(str(run), str(net.net.config)) for run, net in zip(runs, nets, strict=True)]
    names += [("ensemble", " + ".join(name for _, name in names))]
    return [
        {"run": run, "net": net, "protocol": protocol, **entry}
        for protocol, entries in found.items()
        for (run, net), entry in zip(names, entries, strict=False)
    ]


def judge_last(last: Last, protocols: Sequence[Testing]) -> None:
    """Judge the last model of a run by the protocols that its config asks for, into its evaluation.json.

    It waits for another process that judges the run meanwhile.

    Raises:
        InputError: As `judge`.
    """
    assert isinstance(last.net, Net)  # protocols are for the paper's nets and for image data
    assert isinstance(last.data, ImageData)
    one = Judged(last.folder, last.net, last.data.mean, last.checkpoint, TestImages(last.data))
    judge([one], protocols, last.device, wait=True)


def ensemble_of(folders: Sequence[RunFolder], protocol: Testing) -> Errors:
    """Errors of the mean of these runs' scores (Table 5): top1_error, top5_error (percent, or None) and images.

    Scores come from the caches; those that are missing there are computed first.

    Raises:
        InputError: As `evaluate`.
    """
    nets = [models.of_run(folder) for folder in folders]
    return judge(nets, [protocol], gpu_or_cpu(), weights=[1.0] * len(nets))[protocol][-1]


def _check(
    runs: Sequence[Path],
    protocols: Sequence[Testing],
    scales: Sequence[int] | None,
    ensemble: bool,
    weights: Sequence[float] | None,
    workers: int | None,
    batch_size: int,
) -> None:
    """Refuse arguments that do not fit each other, before anything is loaded."""
    paths = [Path(os.path.realpath(existing(run))) for run in runs]
    for run, path in zip(runs, paths, strict=True):
        if paths.count(path) > 1:
            raise InputError(f"{run}: is there twice; write every run once (--weights says how much each one counts)")
    if scales and "multi-scale" not in protocols:
        raise InputError("--scales: they are for --protocol multi-scale; leave them out, or write it")
    if ensemble and len(runs) < 2:
        raise InputError("--ensemble: one run makes none; write two or more")
    if weights and not ensemble:
        raise InputError("--weights: they are for --ensemble; leave them out, or write it")
    if weights and (len(weights) != len(runs) or not all(0 < weight < float("inf") for weight in weights)):
        raise InputError(f"--weights: write {len(runs)} numbers above 0, one for each run")
    try:
        for side in scales or ():
            check_range("--scales", side, 1, MOST_PIXELS)
        check_range("--workers", workers or 0, 0, MOST_WORKERS)
        check_range("--batch-size", batch_size, 1, MOST_BATCH)
    except ValueError as error:
        raise InputError(str(error)) from None


COLUMNS: Columns = {
    "net": lambda r: r["net"],
    "run": lambda r: r["run"],
    "protocol": lambda r: r["protocol"],
    "top-1": lambda r: percent(r["top1_error"]),
    "top-5": lambda r: percent(r["top5_error"]),
    "images": lambda r: count(r["images"]),
}
