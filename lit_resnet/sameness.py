"""When two configs mean the same: the same run, one that may go on, or two that were trained alike.

Each question is answered by the first key that differs, with both values, or by the empty string: then it is a yes.
"""

import hashlib
import json
from typing import Any

from lit_resnet import data_sets

# What may differ between nets that were trained alike: depth, shortcuts and blocks; the speed and the memory of the
# training; what is written down meanwhile; and the warm-up, without which the deepest nets do not converge.
FREE = (
    *("model.net.depth", "model.net.shortcut", "model.net.block"),
    *("model.speed", "model.signals_every"),
    *(f"model.rate.warmup_{key}" for key in ("lr", "error", "window")),
)
TRAINER = ("max_steps", "precision")  # of the trainer's keys those that change what is learned


def same_run(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first key in which two configs are not the same run; where the data lie and who reads them does not count."""
    return _difference(_placeless(old), _placeless(new))


def may_resume(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first key because of which a run of the old config cannot go on with the new one."""
    return _difference(_resumable(old), _resumable(new))


def trained_alike(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first key because of which the errors of two nets cannot be compared as if only the nets differed.

    Depth, shortcut and block may differ, and so may all that does not change what is learned; `FREE` lists it. Seeds
    may differ, too. Two configs are compared as they are: give both complete, or both as a grid says them.
    """
    return _difference(_training(one), _training(other))


def digest(config: dict[str, Any]) -> str:
    """16 hexadecimal digits of a config: the same for the same run (see `same_run`)."""
    return _digits(_placeless(config))


def setting(config: dict[str, Any]) -> str:
    """16 hexadecimal digits of a config: the same for runs that were trained alike (see `trained_alike`)."""
    return _digits(_training(config))


def _difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """The first key in which two configs differ, with both values; the empty string where they are equal."""
    for key in old | new:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            if found := _difference(before, after, f"{prefix}{key}."):
                return found
        elif before != after:
            return f"{prefix}{key} ({before}, not {after})"
    return ""


def _resumable(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what may change when a run goes on: who reads its photographs, and what a damaged one means."""
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("photographs"), dict):
        return config
    photographs = {key: value for key, value in data["photographs"].items() if key not in ("workers", "damaged")}
    return config | {"data": data | {"photographs": photographs}}


def _placeless(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the place of its data; of a folder of images the name stays."""
    config = _resumable(config)
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("root"), str):
        return config
    return config | {"data": data | {"root": data_sets.identity(data.get("source"), data["root"])}}


def _training(config: dict[str, Any]) -> dict[str, Any]:
    """A config without all that may differ between two nets that were trained alike."""
    config = _placeless(config)
    trainer = config.get("trainer")
    trainer = {key: trainer.get(key) for key in TRAINER} if isinstance(trainer, dict) else {}
    kept = {key: config[key] for key in ("task", "model", "data") if key in config}
    return _without({**kept, "trainer": trainer}, FREE)


def _without(config: dict[str, Any], left_out: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    """A config without some keys, given as `model.net.depth`."""
    return {
        key: _without(value, left_out, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in config.items()
        if f"{prefix}{key}" not in left_out
    }


def _digits(config: dict[str, Any]) -> str:
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
