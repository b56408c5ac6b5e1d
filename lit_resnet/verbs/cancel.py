"""`lit-resnet cancel`: stop a grid or some of its cells, wherever they run."""

import argparse
import sys

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser)
    options.cells(parser)
    parser.description = "Every run saves where it is and ends; the next launch continues it."


def run(args: argparse.Namespace) -> int:
    """Ask the runs to stop, and print their names."""
    from lit_resnet.launch.cancel import cancel

    stopping = cancel(options.asked(args), args.cells)
    for name in stopping:
        print(name)
    print(
        f"{len(stopping)} asked to stop: each saves where it is; the next launch continues"
        if stopping
        else "nothing to stop",
        file=sys.stderr,
    )
    return 0
