"""`lit-resnet doctor`: what works on this machine or a node of the cluster, and what to set."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from lit_resnet.doctor.checks import CHECKS, NAMES
from lit_resnet.launch.launcher import LOCAL
from lit_resnet.verbs import options

PLACES = (LOCAL, "slurm")


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "checks:\n" + "\n".join(f"  {check.name:<10}{check.what}" for check in CHECKS)
    parser.add_argument(
        "--root", type=Path, metavar="DIR", default=Path("runs"), help="where run folders are to be (default: runs)"
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, default=[], metavar="CHECK", help="these checks alone")
    parser.add_argument("--on", choices=PLACES, default=LOCAL, help=f"which machine to look at (default: {LOCAL})")
    parser.add_argument(
        "--cluster", metavar="CLUSTER", help="settings of the job, and those to make better: a path or shipped name"
    )
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)  # of the machine that sent this one
    options.form(parser)


def run(args: argparse.Namespace) -> int:
    """Make the checks, print what they find, and recommend settings; 1 where something is wrong."""
    from lit_resnet.doctor import examination, sent
    from lit_resnet.doctor.finding import COLUMNS, Finding, Site, line
    from lit_resnet.doctor.settings import recommended
    from lit_resnet.grid import cluster
    from lit_resnet.grid.grid import find, shipped
    from lit_resnet.listing import print_table, show, spinner

    root, settings, file = options.root(args), cluster.Cluster(), None
    if args.cluster:
        file = find(args.cluster, shipped() / "clusters", "cluster file")
        settings = cluster.read(file)
    found: list[tuple[str, Finding]] = []
    with spinner("loading torch and lightning") as working:
        if args.on == LOCAL:
            site = Site(root, settings, args.token)
            findings: Iterable = ((c.name, f) for c, f in examination.examine(site, args.only, working.update))
        else:
            findings = sent.examine(root, settings, args.only, file, working.update)
        for name, finding in findings:
            found.append((name, finding))
            if args.format == "table":
                print_table(line(name, finding))
    if args.format != "table":
        show([finding.row(name) for name, finding in found], COLUMNS, args.format)
    elif lines := recommended([finding for _, finding in found], settings):
        print(f"\nRecommended here:\n{lines}")
    count = {state: sum(finding.state == state for _, finding in found) for state in ("wrong", "advice", "unknown")}
    print(
        f"{count['wrong']} wrong, {count['advice']} to be made better, {count['unknown']} not checked", file=sys.stderr
    )
    return 1 if count["wrong"] else 0
