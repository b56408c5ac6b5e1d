"""`lit-resnet nets`: every net of the paper, counted, and what the paper says of them."""

import argparse
import sys
from pathlib import Path

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)
    parser.add_argument("--claims", action="store_true", help="the paper's sentences about its nets, checked, instead")
    parser.add_argument("--to", type=Path, metavar="DIR", help="also write Table 1 and Fig. 3 of these nets there")


def run(args: argparse.Namespace) -> int:
    """Print the nets, or with --claims the sentences about them; with --to, write Table 1 and Fig. 3 as well."""
    from lit_resnet.listing import print_table, show, spinner

    with spinner("loading torch, reading every net" if args.claims else "loading torch, counting every net"):
        from lit_resnet.report import catalogue, net_claims

        files = catalogue.write(args.to) if args.to else []
        claims = net_claims.check() if args.claims else []
        rows = net_claims.rows(claims) if args.claims else catalogue.rows()
    if args.claims and args.format == "table":
        print_table(net_claims.terminal(claims))
    elif args.claims:
        show(rows, net_claims.COLUMNS, args.format)
    else:
        show(rows, catalogue.COLUMNS, args.format, catalogue.TITLE)
    print(net_claims.NOTE if args.claims else catalogue.NOTE, file=sys.stderr)
    for file in files:
        print(file, file=sys.stderr)
    return 0
