"""`lit-resnet bench`: training throughput of this machine."""

import argparse
import sys

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)
    parser.add_argument(
        "--depths", type=int, nargs="+", metavar="N", default=[20, 56, 110], help="ResNets (default: 20 56 110)"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", default=128, help="images (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="default: %(default)s"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", default=1.5, help="length of a measured round (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print the throughput."""
    from lit_resnet.listing import show, spinner

    with spinner("loading torch and lightning") as working:
        from lit_resnet.run import bench

        rows = bench.rows(args.depths, args.batch_size, args.precision, args.seconds, say=working.update)
    show(rows, bench.COLUMNS, args.format, bench.title(rows))
    print(bench.note(rows), file=sys.stderr)
    return 0
