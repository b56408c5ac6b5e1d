"""`lit-resnet shrink`: a smaller copy of a folder of photographs."""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder with train/ and val/ in it")
    parser.add_argument("target", type=Path, metavar="TARGET", help="where the copy goes; what is there is kept")
    parser.add_argument("--short-side", type=int, metavar="N", default=480, help="pixels (default: %(default)s)")
    parser.add_argument(
        "--quality", type=int, metavar="Q", default=90, help="of the JPEGs, 1 to 95 (default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Make the copy."""
    from lit_resnet.data.shrink import shrink

    shrink(args.source, args.target, args.short_side, args.quality, args.jobs)
    return 0
