"""`lit-resnet`: the verbs. Each imports what it needs when it is called, so that help and status answer at once."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lit_resnet import __version__
from lit_resnet.errors import InputError, Unreachable
from lit_resnet.evaluation import Protocol
from lit_resnet.files import FOR_A_WHILE
from lit_resnet.listing import FORMATS, print_table

if TYPE_CHECKING:
    from lit_resnet.grid.grid import Grid
    from lit_resnet.listing import Columns, Row

TRAINING = {
    "fit": "train one run (LightningCLI: --config, --model.net.depth 56, --print_config, --help, ...)",
    "validate": "errors of a checkpoint on the test set, and on the held-out split if there is one",
    "test": "error of a checkpoint on the test set",
}
ENDED = ("done", "failed", "cancelled")
MOST_LINES = 100  # of a table that a person reads


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Returns 0: done, 1: something ran and failed, 2: the input was wrong, 130: stopped by Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        if argv and argv[0] in TRAINING:
            return _training(argv[0], argv[1:])
        parser = _parser()
        args, words = parser.parse_known_args(argv)
        if "cells" in args and not any(word.startswith("-") for word in words):
            args.cells += words  # which argparse does not take after an option
        elif words:
            parser.error(f"unrecognized arguments: {' '.join(words)}")
        if "root" in args and args.root.exists() and not args.root.is_dir():
            raise InputError(f"--root {args.root}: is a file; give a folder")
        return args.run(args)
    except InputError as error:
        print(f"lit-resnet: {error}", file=sys.stderr)
        return 2
    except Unreachable as error:
        print(f"lit-resnet: W&B: {error}; try the same again later", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in FOR_A_WHILE:
            raise
        print(
            f"lit-resnet: {error.filename or 'the disk'}: {error.strerror}; make room, then the same again",
            file=sys.stderr,
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lit-resnet",
        description="Deep Residual Learning for Image Recognition, reproduced run by run.",
        epilog="GRID is the path of a grid file, or the name of a shipped one. Exit codes: 0 done, 1 something ran and "
        "failed, 2 the input was wrong, 130 stopped (Ctrl-C); the same command continues.",
    )
    parser.add_argument("--version", action="version", version=f"lit-resnet {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, text in TRAINING.items():
        verbs.add_parser(name, help=text)

    root = argparse.ArgumentParser(add_help=False)
    root.add_argument("--root", type=Path, default=Path("runs"), help="where run folders live (default: runs)")
    grid = argparse.ArgumentParser(add_help=False)
    grid.add_argument("grid", metavar="GRID", help="path or shipped name")
    setting = argparse.ArgumentParser(add_help=False)
    setting.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a config key for all cells, such as data.root=/data/cifar10; give it to every verb alike",
    )
    form = argparse.ArgumentParser(add_help=False)
    form.add_argument("--format", choices=FORMATS, default="table", help="how to print it (default: table)")

    verb = verbs.add_parser("nets", parents=[form], help="every net of the paper: layers, parameters, multiply-adds")
    verb.add_argument("--to", type=Path, metavar="DIR", help="also write Table 1 and Fig. 3, as these nets are, there")
    verb.set_defaults(run=_nets)

    verb = verbs.add_parser("responses", parents=[form], help="layer responses (Fig. 7) of a run's last checkpoint")
    verb.add_argument("folder", metavar="RUN", help="a run folder")
    verb.set_defaults(run=_responses)

    verb = verbs.add_parser(
        "plan", parents=[grid, root, setting, form], help="what a grid would run, what is done, the cost"
    )
    verb.set_defaults(run=_plan)

    verb = verbs.add_parser(
        "launch", parents=[grid, root, setting], help="run what is missing of a grid, then report it"
    )
    verb.add_argument("--on", choices=("local", "slurm"), default="local", help="this machine (default), or a cluster")
    verb.add_argument("--jobs", type=int, metavar="N", help="here: runs at a time (default: all GPUs, or all cores)")
    verb.add_argument("--jobs-per-gpu", type=int, metavar="N", help="here: runs at a time on one GPU (default: 1)")
    verb.add_argument(
        "--cluster",
        metavar="FILE",
        help="slurm: partition, account, time, ...: a path or shipped name (default: the grid's)",
    )
    verb.add_argument("--dry-run", action="store_true", help="slurm: print the scripts and their runs, submit nothing")
    verb.add_argument("--wait", action="store_true", help="slurm: follow the jobs to their end, then report")
    verb.set_defaults(run=_launch)

    verb = verbs.add_parser("status", parents=[root, setting, form], help="how far the runs are")
    verb.add_argument("grid", metavar="GRID", nargs="?", help="path or shipped name (default: every run below --root)")
    verb.add_argument("--watch", action="store_true", help="stay, and show it anew every second")
    verb.set_defaults(run=_status)

    verb = verbs.add_parser(
        "cancel",
        parents=[grid, root, setting],
        help="stop a grid or some of its cells, here or on the cluster",
        description="Every run saves where it is and ends; the next launch continues it.",
    )
    verb.add_argument(
        "cells", metavar="CELL", nargs="*", help="a cell with all its seeds, or a run folder (default: all)"
    )
    verb.set_defaults(run=_cancel)

    verb = verbs.add_parser(
        "report", parents=[grid, root, setting, form], help="tables, figures and a page from the finished runs"
    )
    verb.add_argument(
        "--from",
        dest="source",
        metavar="wandb:ENTITY/PROJECT",
        help="from Weights & Biases (default: from the run folders)",
    )
    verb.set_defaults(run=_report)

    verb = verbs.add_parser("wandb", help="Weights & Biases: sync uploads finished runs, report makes a report there")
    tracking = verb.add_subparsers(title="what to do", metavar="WHAT", required=True)
    verb = tracking.add_parser(
        "sync",
        parents=[grid, root, setting],
        help="upload the runs of a grid that are over and not there yet",
        description="From the run folders, so that it does not matter whether W&B could be reached while they trained. "
        "What W&B has already is not sent twice.",
    )
    verb.set_defaults(run=_wandb_sync)
    verb = tracking.add_parser(
        "report",
        parents=[grid, root, setting],
        help="make a W&B report of a grid, or make it anew",
        description="A section for each table and figure: the numbers of the run folders beside the paper's, and W&B's "
        "own panels over the uploaded runs. Needs wandb-workspaces.",
    )
    verb.set_defaults(run=_wandb_report)

    verb = verbs.add_parser(
        "evaluate",
        parents=[form],
        help="judge models by a centre crop, ten crops or many scales, alone and as an ensemble",
        description="Top-1 and top-5 error (Sec. 3.4). What is averaged, over crops, positions, scales and models, is "
        "the scores after softmax. They are kept with the run: asked again, or in an ensemble, they cost nothing.",
    )
    verb.add_argument(
        "models", type=Path, metavar="RUN", nargs="+", help="a run folder, or a file of torchvision's published weights"
    )
    verb.add_argument(
        "--protocol", choices=get_args(Protocol), nargs="+", default=["center"], help="one or more (default: center)"
    )
    verb.add_argument(
        "--scales",
        type=int,
        nargs="+",
        metavar="N",
        help="shorter sides for multi-scale (default: the paper's; for crops of 224: 224 256 384 480 640)",
    )
    verb.add_argument("--ensemble", action="store_true", help="also the mean of the models' scores")
    verb.add_argument(
        "--weights",
        type=float,
        nargs="+",
        metavar="W",
        help="weight of each model in the ensemble (default: alike)",
    )
    verb.add_argument("--data", type=Path, metavar="DIR", help="where the images are, if not where the config says")
    verb.add_argument("--batch-size", type=int, metavar="N", default=64, help="crops at a time (default: %(default)s)")
    verb.add_argument("--workers", type=int, metavar="N", help="processes that read images (default: one a core)")
    verb.set_defaults(run=_evaluate)

    verb = verbs.add_parser(
        "shrink",
        help="copy a folder of photographs, those to train on made smaller, so that every training reads faster",
    )
    verb.add_argument("source", type=Path, metavar="SOURCE", help="a folder with train/ and val/ in it")
    verb.add_argument("target", type=Path, metavar="TARGET", help="where the copy goes; what is there is kept")
    verb.add_argument("--short-side", type=int, metavar="N", default=480, help="pixels (default: %(default)s)")
    verb.add_argument(
        "--quality", type=int, metavar="Q", default=90, help="of the JPEGs, 1 to 95 (default: %(default)s)"
    )
    verb.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    verb.set_defaults(run=_shrink)

    verb = verbs.add_parser("bench", parents=[form], help="training throughput of this machine, against its limits")
    verb.add_argument(
        "--depths", type=int, nargs="+", metavar="N", default=[20, 56, 110], help="ResNets (default: 20 56 110)"
    )
    verb.add_argument("--batch-size", type=int, metavar="N", default=128, help="images (default: %(default)s)")
    verb.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="default: %(default)s")
    verb.add_argument(
        "--seconds", type=float, metavar="S", default=1.5, help="length of a measured round (default: %(default)s)"
    )
    verb.set_defaults(run=_bench)
    return parser


def _training(verb: str, args: list[str]) -> int:
    from lit_resnet.grid.grid import find, shipped

    # A recipe's name serves as well as its path.
    args = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--config=") else [arg])]
    for i, arg in enumerate(args[:-1]):
        if arg in ("--config", "-c"):
            args[i + 1] = str(find(args[i + 1], shipped() / "recipes", "config"))
    with _spinner("loading torch and lightning"):
        from lit_resnet.run import run
    return run.fit(args) if verb == "fit" else run.evaluate(verb, args)


def _nets(args: argparse.Namespace) -> int:
    from lit_resnet.listing import show

    with _spinner("loading torch, counting every net"):
        from lit_resnet.report import catalogue

        files = catalogue.write(args.to) if args.to else []
        rows = catalogue.rows()
    show(rows, catalogue.COLUMNS, args.format, catalogue.TITLE)
    print(catalogue.NOTE, file=sys.stderr)
    for file in files:
        print(file, file=sys.stderr)
    return 0


def _responses(args: argparse.Namespace) -> int:
    from lit_resnet.listing import show

    with _spinner("loading torch, measuring"):
        from lit_resnet.run.run import responses_of

        measured = responses_of(args.folder)
    rows = [{"layer": i, "name": name, "std": std} for i, (name, std) in enumerate(measured, start=1)]
    columns = {
        "layer": lambda r: str(r["layer"]),
        "name": lambda r: r["name"],
        "std": lambda r: f"{r['std']:.4f}",
    }
    show(rows, columns, args.format, f"{args.folder}: std of each 3x3 layer after BN")
    return 0


def _plan(args: argparse.Namespace) -> int:
    from lit_resnet.grid.grid import load
    from lit_resnet.listing import duration

    grid = load(args.grid, args.set)
    with _spinner("loading torch and lightning, checking every cell, timing two nets"):
        from lit_resnet.launch import plan

        rows = plan.rows(grid, args.root)
    _show_some(rows, rows[:MOST_LINES], plan.COLUMNS, args.format, grid.title)
    missing = [row for row in rows if row["state"] != "done"]
    print(
        f"{len(rows)} runs, {len(rows) - len(missing)} done; to do: "
        f"{sum(row['training_macs'] for row in missing) / 1e15:,.3g} PFLOPs (multiply-adds, forward and backward), "
        f"about {duration(sum(row['seconds'] for row in missing))} of one GPU here, or of one core where there is none",
        file=sys.stderr,
    )
    return 0


def _launch(args: argparse.Namespace) -> int:
    from lit_resnet.grid.grid import load

    for key in ("jobs", "jobs_per_gpu"):
        if (value := getattr(args, key)) is not None and value < 1:
            raise InputError(f"--{key.replace('_', '-')} is {value}: write 1 or more")
    here = {"--jobs": args.jobs, "--jobs-per-gpu": args.jobs_per_gpu}
    there = {"--cluster": args.cluster, "--dry-run": args.dry_run, "--wait": args.wait}
    for option, value in (there if args.on == "local" else here).items():
        if value:
            raise InputError(f"{option} is for launch --on {'slurm' if args.on == 'local' else 'local'}; leave it out")
    grid = load(args.grid, args.set)
    if args.on == "slurm":
        return _launch_on_slurm(args, grid)
    from lit_resnet.launch.local import Launcher

    outcome = Launcher(grid, args.grid, args.set, args.root, args.jobs, args.jobs_per_gpu).launch()
    if outcome.stopped:
        print("stopped; the same command continues where it was", file=sys.stderr)
        return 130
    return _ended(args, grid, outcome.failed, outcome.cancelled)


def _launch_on_slurm(args: argparse.Namespace, grid: "Grid") -> int:
    from lit_resnet.grid import cluster
    from lit_resnet.grid.grid import find, shipped
    from lit_resnet.launch import jobs, slurm

    asked = grid.cluster
    if args.cluster:
        asked = cluster.read(find(args.cluster, shipped() / "clusters", "cluster file"))
    launcher = slurm.Launcher(grid, args.grid, args.set, args.root, asked)
    with _spinner("loading torch and lightning, checking every cell") as spinner:
        if args.dry_run:
            print(launcher.dry_run(), end="")
            return 0
        for number in launcher.launch(say=lambda text: spinner.console.print(text, soft_wrap=True)):
            print(number)
    more = shlex.join([args.grid, "--root", str(args.root), *(f"--set={setting}" for setting in args.set)])
    if not args.wait:
        print(f"watch:  lit-resnet status {more} --watch", file=sys.stderr)
        print(f"stop:   lit-resnet cancel {more}", file=sys.stderr)
        print(f"tables: the last job writes them; now, of what is finished: lit-resnet report {more}", file=sys.stderr)
        return 0
    found = _watch(args, grid, over=lambda: not jobs.queue_of(grid.name, args.root))
    names: dict[str, list[str]] = {"failed": [], "cancelled": [], "done": []}
    for row in found:  # what has no job any more and is not done was lost by Slurm, or taken out of its queue
        names[row["state"] if row["state"] in names else "cancelled"].append(f"{row['cell']}-seed{row['seed']}")
    return _ended(args, grid, names["failed"], names["cancelled"])


def _ended(args: argparse.Namespace, grid: "Grid", failed: list[str], cancelled: list[str]) -> int:
    """Report what was launched and has ended."""
    if len(failed) + len(cancelled) < len(grid.cells):
        args.format, args.source = "table", None
        _report(args)
    if cancelled:
        print(f"{len(cancelled)} not finished: {', '.join(cancelled)}; the next launch continues", file=sys.stderr)
    if failed:
        print(f"{len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _cancel(args: argparse.Namespace) -> int:
    from lit_resnet.grid.grid import load
    from lit_resnet.launch.cancel import cancel

    asked = cancel(load(args.grid, args.set), args.cells, args.root)
    for name in asked:
        print(name)
    print(
        f"{len(asked)} asked to stop: each saves where it is; the next launch continues"
        if asked
        else "nothing to stop",
        file=sys.stderr,
    )
    return 0


def _status(args: argparse.Namespace) -> int:
    from lit_resnet.grid import status
    from lit_resnet.grid.grid import load

    grid = load(args.grid, args.set) if args.grid else None
    if args.watch:
        _watch(args, grid)
        return 0
    found = _look(args, grid)
    if args.format == "table" and not found:
        raise InputError(f"{args.root}: no runs here; start some with: lit-resnet launch quickstart")
    title = f"{grid.name if grid else args.root}: {status.overview(found)}"
    _show_some(found, status.foremost(found, MOST_LINES), status.columns(found), args.format, title)
    return 0


def _show_some(rows: list["Row"], some: list["Row"], columns: "Columns", form: str, title: str) -> None:
    """All rows for programs; for people, of very many only some."""
    from lit_resnet.listing import show

    show(some if form == "table" else rows, columns, form, title)
    if form == "table" and len(some) < len(rows):
        print(f"{len(some)} of {len(rows)} runs are shown; all of them: --format csv", file=sys.stderr)


def _look(args: argparse.Namespace, grid: "Grid | None") -> list["Row"]:
    """The runs as they are now, in their folders and in Slurm's queue."""
    from lit_resnet.grid import status
    from lit_resnet.launch import jobs

    if grid:
        return status.rows(grid, args.root, jobs.queue_of(grid.name, args.root))
    grids = [path.name for path in args.root.iterdir()] if args.root.is_dir() else []
    return status.runs_below(args.root, jobs.queue(args.root, grids))


def _watch(args: argparse.Namespace, grid: "Grid | None", over: Callable[[], bool] = lambda: False) -> list["Row"]:
    """Show the runs anew each second until all have ended, or nothing is under way any more; how they then are."""
    from rich.live import Live

    from lit_resnet.grid import status

    with Live(auto_refresh=False) as live:
        while True:
            found = _look(args, grid)
            title = f"{grid.name if grid else args.root}: {status.overview(found)}"
            live.update(status.live_table(title, found), refresh=True)
            if all(row["state"] in ENDED for row in found):
                return found
            if over():
                return _look(args, grid)
            time.sleep(5 if any(row["job"] for row in found) else 1)  # a cluster's queue is not to be asked each second


def _report(args: argparse.Namespace) -> int:
    from lit_resnet import report

    root = args.root
    if args.source:
        with _spinner("reading from Weights & Biases"):
            from lit_resnet.tracking.restore import restore

            root = restore(args.grid, args.source, args.root, args.set)
    with _spinner("drawing"):
        made = report.write(args.grid, root, args.set)
    for reason in made.not_drawn:
        print(f"not drawn: {reason}", file=sys.stderr)
    if args.format == "table":
        for table in made.tables.values():
            print_table(table.terminal())
        if made.claims.found:
            print_table(made.claims.terminal())
    else:
        print({"csv": made.table.csv, "json": made.table.json, "md": made.table.markdown}[args.format](), end="")
    print(f"{made.progress}; the page: {made.page}", file=sys.stdout if args.format == "table" else sys.stderr)
    return 0


def _wandb_sync(args: argparse.Namespace) -> int:
    from lit_resnet.tracking.sync import sync

    found = sync(args.grid, args.root, args.set, say=print)
    print(
        f"{len(found.told)} uploaded, {len(found.known)} there already, {len(found.waiting)} not finished yet",
        file=sys.stderr,
    )
    for name, reason in found.refused.items():
        print(f"{name} was left out: {reason}", file=sys.stderr)
    return 1 if found.refused else 0


def _wandb_report(args: argparse.Namespace) -> int:
    from lit_resnet.report import runs

    found = runs.read(args.grid, args.root, args.set)
    with _spinner("writing the report"):
        from lit_resnet.tracking import session, workspace

        asked = shlex.join([args.grid, *(f"--set={setting}" for setting in args.set)])
        url = workspace.publish(workspace.build(found, session.entity(), session.project(), asked))
    print(url)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from lit_resnet.listing import show

    with _spinner("loading torch and lightning"):
        from lit_resnet.run import evaluate as verb
    rows = verb.evaluate(
        args.models,
        args.protocol,
        scales=args.scales,
        ensemble=args.ensemble,
        weights=args.weights,
        root=args.data,
        batch_size=args.batch_size,
        workers=args.workers,
    )
    show(rows, verb.COLUMNS, args.format, verb.TITLE)
    print(verb.NOTE, file=sys.stderr)
    return 0


def _shrink(args: argparse.Namespace) -> int:
    from lit_resnet.data.shrink import shrink

    shrink(args.source, args.target, args.short_side, args.quality, args.jobs)
    return 0


def _bench(args: argparse.Namespace) -> int:
    from lit_resnet.listing import show

    with _spinner("loading torch and lightning") as spinner:
        from lit_resnet.run import bench

        rows = bench.rows(args.depths, args.batch_size, args.precision, args.seconds, say=spinner.update)
    show(rows, bench.COLUMNS, args.format, bench.title(rows))
    print(bench.note(rows), file=sys.stderr)
    return 0


def _spinner(text: str):  # noqa: ANN202 (rich is imported late)
    from rich.console import Console

    return Console(stderr=True).status(text)
