"""`lit-resnet nets`: every net of the paper, counted, and what the paper says of them."""

import argparse
import sys
from pathlib import Path

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--claims", action="store_true", help="the paper's sentences about its nets, checked, instead")
    parser.add_argument(
        "--to", type=Path, metavar="DIR", help="also write Table 1, Fig. 3 and pictures of blocks there"
    )
    instead.add_argument(
        "--blocks",
        nargs="+",
        metavar="KEY=VALUE",
        help="the blocks of one net instead, step by step, by keys of model.net: depth=164 block=bottleneck order=full",
    )


def run(args: argparse.Namespace) -> int:
    """Print the nets, the sentences about them (--claims), or the blocks of one (--blocks); --to writes pictures."""
    from lit_resnet.listing import print_table, show, spinner

    if args.blocks:
        return _blocks(args)
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


def _blocks(args: argparse.Namespace) -> int:
    from lit_resnet.listing import show, spinner

    with spinner("loading torch, reading the blocks"):
        from lit_resnet.report import catalogue

        net = catalogue.net_of(args.blocks)
        rows = catalogue.block_rows(net)
        files = catalogue.write_blocks(args.to, net) if args.to else []
    show(rows, catalogue.BLOCK_COLUMNS, args.format, f"Blocks of {net}, step by step, with the first one's widths")
    for file in files:
        print(file, file=sys.stderr)
    return 0
