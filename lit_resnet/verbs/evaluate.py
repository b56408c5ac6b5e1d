"""`lit-resnet evaluate`: models judged by several protocols: errors, alone and as an ensemble; mAP of detectors."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from lit_resnet import task
from lit_resnet.errors import InputError
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.zoo import existing
from lit_resnet.task import CLASSIFICATION, TASKS, Task
from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    parser.description = (
        "Top-1 and top-5 error (Sec. 3.4) of scores after softmax, averaged over crops, positions, scales and models. "
        "Of detectors mAP (Tables 7 and 8), also with box refinement and at many scales (Appendix B). A run folder "
        "keeps the scores of its model, or what it has found: they are not computed again, for an ensemble either."
    )
    options.form(parser)
    options.own_code(parser)
    parser.add_argument(
        "models",
        type=Path,
        metavar="NET",
        nargs="+",
        help="a run folder, a file of torchvision's published weights, a .safetensors file, or a name that lit-resnet "
        "zoo lists",
    )
    parser.add_argument(
        "--protocol",
        choices=list(dict.fromkeys(name for one in TASKS.values() for name in one.protocols)),
        nargs="+",
        help="one or more (default: center; of detectors that of their data)",
    )
    parser.add_argument(
        "--scales",
        type=int,
        nargs="+",
        metavar="N",
        help="shorter sides for multi-scale (default: the paper's; for crops of 224: 224 256 384 480 640); of "
        "detectors several, for multi-scale testing (the paper's: 200 400 600 800 1000)",
    )
    parser.add_argument("--refine", action="store_true", help="refine the boxes of detectors")
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="only write what a detector finds, for the server that judges it"
    )
    parser.add_argument("--ensemble", action="store_true", help="also the mean of the models' scores")
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="weight of each model in the ensemble (default: equal)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where the images are (default: where the config says)"
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="crops at a time (default: 64; of detectors always one image)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read images (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Judge the models, and print their errors."""
    from lit_resnet.listing import show, spinner

    kind = _task(args.models)
    with spinner("loading torch and lightning"):
        judging = import_module(kind.judging)
    options.import_own(args)
    found = judging.rows(args)
    if found:
        show(found, judging.COLUMNS, args.format, judging.TITLE)
        print(judging.NOTE, file=sys.stderr)
    return 0


def _task(models: Sequence[Path]) -> Task:
    """The task of all models; files of weights are of classification.

    Raises:
        InputError: They are of several, or there is no run.
    """
    places = [existing(path) for path in models]
    kinds = {path: task.of(RunFolder(path).config()) if path.is_dir() else CLASSIFICATION for path in places}
    judging = {kind.judging: path for path, kind in kinds.items()}
    if len(judging) > 1:
        raise InputError(f"{' and '.join(map(str, judging.values()))}: are of different tasks; judge them one by one")
    return kinds[places[0]]
