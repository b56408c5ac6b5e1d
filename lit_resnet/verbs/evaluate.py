"""`lit-resnet evaluate`: errors of models by several protocols, alone and as an ensemble."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from lit_resnet.evaluation import Testing
from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    parser.description = (
        "Top-1 and top-5 error (Sec. 3.4) of scores after softmax, averaged over crops, positions, scales and models. "
        "A run folder keeps the scores of its model: they are not computed again, for an ensemble either."
    )
    options.form(parser)
    options.own_code(parser)
    parser.add_argument(
        "models", type=Path, metavar="RUN", nargs="+", help="a run folder, or a file of torchvision's published weights"
    )
    parser.add_argument(
        "--protocol", choices=get_args(Testing), nargs="+", default=["center"], help="one or more (default: center)"
    )
    parser.add_argument(
        "--scales",
        type=int,
        nargs="+",
        metavar="N",
        help="shorter sides for multi-scale (default: the paper's; for crops of 224: 224 256 384 480 640)",
    )
    parser.add_argument("--ensemble", action="store_true", help="also the mean of the models' scores")
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="weight of each model in the ensemble (default: equal)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where the images are (default: where the config says)"
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", default=64, help="crops at a time (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read images (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Judge the models, and print their errors."""
    from lit_resnet.listing import show, spinner

    with spinner("loading torch and lightning"):
        from lit_resnet.run import evaluate
    options.import_own(args)
    rows = evaluate.evaluate(
        args.models,
        args.protocol,
        scales=args.scales,
        ensemble=args.ensemble,
        weights=args.weights,
        root=args.data,
        batch_size=args.batch_size,
        workers=args.workers,
    )
    show(rows, evaluate.COLUMNS, args.format, evaluate.TITLE)
    print(evaluate.NOTE, file=sys.stderr)
    return 0
