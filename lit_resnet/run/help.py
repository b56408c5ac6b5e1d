"""The help of `fit`, `validate` and `test`: a run's model and data first, and the keys of the Trainer that matter."""

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
    """The help of one of `SECTIONS`, or all that matters for a run."""
    formatter = parser._get_formatter()
    check = " [--check]" if verb == "fit" else ""
    formatter.add_text(f"usage: {parser.prog} [--config RECIPE]... [--KEY VALUE]... [--print_config]{check}")
    shown = [section] if section else ["model", "data", "trainer", ""]
    for name in shown:
        for group in parser._action_groups:
            actions = [action for action in group._group_actions if _belongs(action.dest, name, bool(section))]
            if actions:
                formatter.start_section(group.title if name or not group.title else "other keys")
                formatter.add_text(group.description)
                formatter.add_arguments(actions)
                formatter.end_section()
    if not section:
        said = "--check: two iterations and an evaluation of a few batches; nothing is kept. " if check else ""
        formatter.add_text(
            f"{said}RECIPE is a file, or the name of a shipped one; a later file or key replaces what an earlier one "
            "says. All keys of Lightning's Trainer: --trainer.help. One part alone: --model.help, --data.help."
        )
    return formatter.format_help()


def _belongs(key: str, section: str, whole: bool) -> bool:
    """Whether a key stands under a section; of the Trainer's keys, unless `whole`, only those in `MAIN`."""
    first, _, rest = key.partition(".")
    if section != "trainer" or whole:
        return first == section if section else first not in SECTIONS
    return first == "trainer" and rest in MAIN
