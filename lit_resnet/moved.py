"""Config keys that stood elsewhere in earlier versions, and where they stand now."""

from typing import Any

from lit_resnet.errors import InputError

RATE = ("lr", "milestones", "warmup_lr", "warmup_error", "warmup_window", "plateau_patience", "plateau_least")
SGD = ("momentum", "weight_decay", "decay_bn_and_bias")
SPEED = ("channels_last", "compile", "recompute")
MOVED = {
    f"model.{name}": f"model.{group}.{name}"
    for group, names in (("rate", RATE), ("sgd", SGD), ("speed", SPEED))
    for name in names
}


def moved(key: str) -> str:
    """`model.lr moved to model.rate.lr`, or the empty string for a key that has not moved."""
    return f"{key} moved to {MOVED[key]}" if key in MOVED else ""


def check_keys(config: dict[str, Any], where: object) -> None:
    """Refuse a config (nested as in its YAML file) with keys of an earlier version.

    Args:
        config: The config.
        where: Its file, with which the message begins.

    Raises:
        InputError: One of its keys stands elsewhere now; the message says where.
    """
    model = config.get("model")
    for name in model if isinstance(model, dict) else ():
        if text := moved(f"model.{name}"):
            raise InputError(f"{where}: {text}; write it so, or move this folder of an earlier version away")
