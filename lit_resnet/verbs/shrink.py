"""`lit-resnet shrink`: a smaller copy of a folder of photographs."""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="a folder with train/ and val/ in it, or with archives"
    )
    parser.add_argument(
        "target", type=Path, metavar="TARGET", help="where to write the copy; files that are there are kept"
    )
    parser.add_argument(
        "--short-side", type=int, metavar="N", default=480, help="of the images, in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--quality", type=int, metavar="Q", default=90, help="of the JPEGs, 1 to 95 (default: %(default)s)"
    )
    parser.add_argument(
        "--tars", type=int, metavar="N", help="write N tars of training images, and some of test images, not files"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Make the copy, or what is missing of it."""
    from lit_resnet.data.shrink import shrink

    shrink(args.source, args.target, args.short_side, args.quality, args.jobs, args.tars)
    return 0
