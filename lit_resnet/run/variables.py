"""Environment variables that look like settings. A run has its settings from its config alone, and refuses these.

Lightning's Trainer takes defaults from `PL_TRAINER_MAX_STEPS`, and other programs' LightningCLI takes settings from
`PL_TRAINER__MAX_STEPS` or `PL_FIT__TRAINER__MAX_STEPS`. The first would do nothing, as a run's config has every key of
the Trainer. Nor would the others; but where JSONARGPARSE_DEFAULT_ENV is true, they would change a run behind its grid.
"""

import os
import re
import shlex
from collections.abc import Collection

from lit_resnet.errors import InputError
from lit_resnet.moved import MOVED

VERBS = ("FIT", "VALIDATE", "TEST", "PREDICT")  # of LightningCLI


def check(keys: Collection[str], left_out: Collection[str], of_grid: bool) -> None:
    """Refuse an environment that has settings.

    Args:
        keys: The config keys of a run.
        left_out: Keys of the Trainer that a run has to leave out.
        of_grid: Whether the config is that of a cell, to which `--set` adds.

    Raises:
        InputError: With what to write instead of the first such variable.
    """
    for name, value in os.environ.items():
        if value and (key := _key(name, keys)):
            known = key in (*keys, "config") and key.removeprefix("trainer.") not in left_out
            instead = f"write {_written(key, value, of_grid)}" if known else "lit-resnet fit --help has a run's keys"
            raise InputError(f"{name} is set, but a run takes no settings from the environment: unset it; {instead}")


def _key(variable: str, keys: Collection[str]) -> str | None:
    """The config key that a variable means; None where it is no setting, but one that Lightning reads for itself."""
    prefix, _, rest = variable.partition("_")
    if prefix != "PL":
        return None
    verb, _, setting = rest.partition("__")
    if verb in VERBS:
        rest = setting
    key = re.sub(r"^TRAINER_(?!_)", "TRAINER__", rest).lower().replace("__", ".")
    key = MOVED.get(key, key)
    return key if key in (*keys, "config") or "." in key or verb in VERBS else None


def _written(key: str, value: str, of_grid: bool) -> str:
    """How a command line says it."""
    value = shlex.quote(value)
    if not of_grid:
        return f"--{key} {value}"
    others = {"config": f"{value} as the base of the grid", "seed_everything": f"--seeds {value}"}
    return others.get(key, f"--set {key}={value}")
