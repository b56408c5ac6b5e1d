"""`lit-resnet lesion`: trained nets without some of their blocks (Veit, Wilber, Belongie 2016)."""

import argparse
import sys
from pathlib import Path

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    parser.description = (
        "The test error of runs' newest checkpoints with each block taken out alone, and with several at once, drawn "
        "at random: residual nets hardly notice, plain nets break (Veit, Wilber, Belongie 2016, Figs. 3 to 5). "
        "Nothing is trained. Each run folder keeps its errors as lesions.csv, from which report draws the figure."
    )
    options.form(parser)
    options.own_code(parser)
    parser.add_argument("runs", type=Path, metavar="RUN", nargs="+", help="a run folder")
    parser.add_argument(
        "--most", type=int, metavar="N", default=20, help="blocks at once, at most (default: %(default)s)"
    )
    parser.add_argument(
        "--draws", type=int, metavar="N", default=10, help="draws of each number of blocks (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="of the draws (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure and print the errors."""
    from lit_resnet.listing import show, spinner

    with spinner("loading torch and lightning"):
        from lit_resnet.run import lesion

    options.import_own(args)
    rows = lesion.lesion(args.runs, args.most, args.draws, args.seed)
    show(rows, lesion.COLUMNS, args.format, lesion.TITLE)
    print(lesion.NOTE, file=sys.stderr)
    return 0
