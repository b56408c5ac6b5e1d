"""`lit-resnet wandb sync` and `wandb report`: uploads to Weights & Biases that are no part of a launch."""

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from lit_resnet.verbs import options

if TYPE_CHECKING:
    from lit_resnet.grid.asked import Asked


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    parser.add_argument("what", metavar="WHAT", choices=("sync", "report"), help="sync or report")
    options.of_grid(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = """\
sync    upload the runs of a grid that are over and not there yet: from the run folders, so that it does not matter
        whether W&B could be reached while they trained. What W&B has already is not sent twice.
report  make a W&B report of a grid, or make it again: a section for each table and figure, the numbers of the run
        folders beside the paper's, and W&B's own panels over the uploaded runs. Needs wandb-workspaces."""


def run(args: argparse.Namespace) -> int:
    """Upload the runs, or make the report."""
    return {"sync": _sync, "report": _report}[args.what](options.asked(args))


def _sync(asked: "Asked") -> int:
    from lit_resnet.tracking.sync import sync

    found = sync(asked, say=print)
    print(
        f"{len(found.told)} uploaded, {len(found.known)} there already, {len(found.waiting)} not finished yet",
        file=sys.stderr,
    )
    for name, reason in found.refused.items():
        print(f"{name} was left out: {reason}", file=sys.stderr)
    return 1 if found.refused else 0


def _report(asked: "Asked") -> int:
    from lit_resnet.grid.asked import ROOT
    from lit_resnet.listing import spinner
    from lit_resnet.report import runs

    found = runs.read(asked)
    with spinner("writing the report"):
        from lit_resnet.tracking import session, workspace

        command = replace(asked, root=ROOT).command("launch")
        url = workspace.publish(workspace.build(found, session.entity(), session.project(), command))
    print(url)
    return 0
