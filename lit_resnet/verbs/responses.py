"""`lit-resnet responses`: the layer responses of a run (Fig. 7)."""

import argparse

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)
    options.own_code(parser)
    parser.add_argument("folder", metavar="RUN", help="a run folder")


def run(args: argparse.Namespace) -> int:
    """Measure and print the responses."""
    from lit_resnet.listing import show, spinner

    with spinner("loading torch, measuring"):
        from lit_resnet.run.run import responses_of

        options.import_own(args)
        measured = responses_of(args.folder)
    rows = [{"layer": i, "name": name, "std": std} for i, (name, std) in enumerate(measured, start=1)]
    columns = {
        "layer": lambda r: str(r["layer"]),
        "name": lambda r: r["name"],
        "std": lambda r: f"{r['std']:.4f}",
    }
    show(rows, columns, args.format, f"{args.folder}: std of each 3x3 layer after BN")
    return 0
