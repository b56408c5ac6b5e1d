"""`lit-resnet zoo`: the trained nets that come with the package."""

import argparse
import sys
from pathlib import Path

from lit_resnet.listing import Columns, Row, count, percent, show
from lit_resnet.runfolder import card, zoo
from lit_resnet.runfolder.card import Card
from lit_resnet.verbs import options

TITLE = "Trained nets that come with the package"
NOTE = """\
Errors in percent, of the last model of one run. In [ ]: where the error of this very net on endlessly many such images
lies, with 95 % certainty (Wilson); it says nothing of other seeds. A name stands for the folder of a run: lit-resnet
predict NAME IMAGE..., lit-resnet evaluate NAME --data DIR, model.start: NAME, lit_resnet.load_run("NAME")."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)


def run(args: argparse.Namespace) -> int:
    """Print them."""
    rows = [row(name, file, card.read(file)) for name, file in zoo.shipped().items()]
    show(rows, COLUMNS, args.format, TITLE, EXPENDABLE)
    if args.format == "table":
        print(NOTE, file=sys.stderr)
    return 0


def row(name: str, file: Path, known: Card) -> Row:
    """What the card of a net says, flat."""
    summary, interval = known.summary, known.interval or (None, None)
    return {
        "name": name,
        "net": summary.net,
        "data": summary.data,
        "test_error": summary.metrics["test_error"],
        "test_error_low": None if interval[0] is None else round(interval[0], 4),
        "test_error_high": None if interval[1] is None else round(interval[1], 4),
        "test_images": known.tested,
        "train_error": summary.metrics["train_error"],
        "steps": summary.steps,
        "batch_size": summary.batch_size,
        "seed": summary.seed,
        "precision": summary.precision,
        "device": summary.device,
        "params": summary.params,
        "bytes": file.stat().st_size,
        "config_digest": known.config_digest,
        "git_commit": summary.git_commit,
        "finished": summary.finished,
        "file": str(file),
    }


def _error(found: Row) -> str:
    if found["test_error_low"] is None:
        return percent(found["test_error"])
    return f"{percent(found['test_error'])} [{percent(found['test_error_low'])}, {percent(found['test_error_high'])}]"


COLUMNS: Columns = {
    "net": lambda r: r["name"],
    "trained on": lambda r: r["data"],
    "iterations": lambda r: count(r["steps"]),
    "test error": _error,
    "train error": lambda r: percent(r["train_error"]),
    "MB": lambda r: f"{r['bytes'] / 1e6:.1f}",
    "config": lambda r: r["config_digest"],
    "commit": lambda r: (r["git_commit"] or "–")[:7],
    "date": lambda r: (r["finished"] or "–")[:10],
}
EXPENDABLE = ("config", "date", "commit", "MB", "iterations", "trained on")
