"""The help of `fit`, `validate` and `test`: a run's model and data first, and the keys of the Trainer that matter."""

import argparse
import re
from collections.abc import Sequence

from lightning.pytorch.cli import LightningArgumentParser

# Of the Trainer's keys, those that one writes for a run; the others are under --trainer.help.
MAIN = (
    "max_steps",
    "val_check_interval",
    "log_every_n_steps",
    "accelerator",
    "devices",
    "num_nodes",
    "precision",
    "deterministic",
    "default_root_dir",
    "callbacks",
    "logger",
    "profiler",
)
SECTIONS = ("model", "data", "trainer")


def asked(args: Sequence[str]) -> str | None:
    """Which help some arguments ask for: the empty string for all that matters, or one of `SECTIONS`; None for none."""
    for arg in args:
        if arg in ("-h", "--help"):
            return ""
        if (found := re.fullmatch(r"--(\w+)\.help", arg)) and found[1] in SECTIONS:
            return found[1]
    return None


def text(parser: LightningArgumentParser, verb: str, section: str) -> str:
    """The help of one of `SECTIONS`, or all that matters for a run. The parser is not fit for parsing afterwards."""
    for action in parser._actions:
        if not _belongs(action.dest, section):
            action.help = argparse.SUPPRESS
    parser._action_groups = sorted(parser._action_groups, key=_place)
    check = " [--check]" if verb == "fit" else ""
    parser.description = None
    parser.usage = f"{parser.prog} [--config RECIPE]... [--KEY VALUE]... [--print_config]{check}"
    parser.epilog = (
        "RECIPE is a file, or the name of a shipped one; what a later file or key says replaces what an earlier one "
        "says. Parts of this help: --model.help, --data.help, and with all keys of Lightning's Trainer --trainer.help."
    )
    if check:
        parser.epilog += " --check: two iterations and an evaluation of a few batches, of which nothing is kept."
    return parser.format_help()


def _belongs(key: str, section: str) -> bool:
    """Whether a key stands in the help of a section; in that of all, of the Trainer's keys only those in `MAIN`."""
    first, _, rest = key.partition(".")
    return first == section if section else first != "trainer" or rest in MAIN


def _place(group: argparse._ArgumentGroup) -> int:
    """Where a group stands: those of a section in its order, the others after them."""
    first = {action.dest.partition(".")[0] for action in group._group_actions}
    return next((i for i, section in enumerate(SECTIONS) if section in first), len(SECTIONS))
