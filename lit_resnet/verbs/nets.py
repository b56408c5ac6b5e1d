"""`lit-resnet nets`: every net of the paper, counted."""

import argparse
import sys
from pathlib import Path

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)
    parser.add_argument("--to", type=Path, metavar="DIR", help="also write Table 1 and Fig. 3 of these nets there")


def run(args: argparse.Namespace) -> int:
    """Print the nets; with --to, write Table 1 and Fig. 3 as well."""
    from lit_resnet.listing import show, spinner

    with spinner("loading torch, counting every net"):
        from lit_resnet.report import catalogue

        files = catalogue.write(args.to) if args.to else []
        rows = catalogue.rows()
    show(rows, catalogue.COLUMNS, args.format, catalogue.TITLE)
    print(catalogue.NOTE, file=sys.stderr)
    for file in files:
        print(file, file=sys.stderr)
    return 0
