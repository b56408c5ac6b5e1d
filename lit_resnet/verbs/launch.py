"""`lit-resnet launch`: run what is missing of a grid, here or on a cluster, then write the report."""

import argparse
import sys

from lit_resnet.errors import InputError
from lit_resnet.launch.launcher import LAUNCHERS, LOCAL, launcher
from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options, and those of every launcher, to a parser."""
    options.of_grid(parser)
    options.cells(parser)
    parser.add_argument("--on", choices=tuple(LAUNCHERS), default=LOCAL, help=f"where to run (default: {LOCAL})")
    own = {name: launcher(name).options(parser.add_argument_group(f"--on {name}")) for name in LAUNCHERS}
    parser.set_defaults(own=own)


def run(args: argparse.Namespace) -> int:
    """Launch, and once the runs have ended write the report of the finished ones; 130 where a signal stopped them."""
    from lit_resnet.tracking.beside import mirrored
    from lit_resnet.verbs.report import show

    for name, own in args.own.items():
        for option in own:
            if name != args.on and getattr(args, option.dest) != option.default:
                raise InputError(f"{option.option_strings[0]} is for launch --on {name}; leave it out")
    asked = options.asked(args)
    outcome = launcher(args.on).launch(asked, asked.grid.part(args.cells), args, mirrored)
    if outcome is None:
        return 0
    if outcome.stopped:
        print("stopped; the same command continues where it was", file=sys.stderr)
        return 130
    if any(asked.folder(cell).summary() for cell in asked.grid.cells):
        show([asked], [])
    if outcome.cancelled:
        print(
            f"{len(outcome.cancelled)} not finished: {', '.join(outcome.cancelled)}; the next launch continues",
            file=sys.stderr,
        )
    if outcome.failed:
        print(f"{len(outcome.failed)} failed: {', '.join(outcome.failed)}", file=sys.stderr)
    return 1 if outcome.failed else 0
