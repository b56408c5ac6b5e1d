"""When two configs mean the same run."""

import hashlib
import json
from pathlib import Path
from typing import Any


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """The first key in which two configs differ, with both values; the empty string where they are equal."""
    for key in old | new:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            if found := difference(before, after, f"{prefix}{key}."):
                return found
        elif before != after:
            return f"{prefix}{key} ({before}, not {after})"
    return ""


def resumable(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what may change when a run goes on: who reads its photographs, and what if one is damaged."""
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("photographs"), dict):
        return config
    photographs = {key: value for key, value in data["photographs"].items() if key not in ("workers", "damaged")}
    return config | {"data": data | {"photographs": photographs}}


def placeless(config: dict[str, Any]) -> dict[str, Any]:
    """What makes a run the run it is: not where its data lie; of folders of images the name stays."""
    config = resumable(config)
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("root"), str):
        return config
    root = Path(data["root"]).name if data.get("source") in ("folder", "imagenet") else None
    return config | {"data": data | {"root": root}}


# What may differ between runs that are compared with each other: the net's kind; speed, memory, and what is written
# down, which change no result; and the warm-up, which the paper gives to its deepest nets alone.
COMPARED_NETS = ("depth", "shortcut", "block")
FREE = ("channels_last", "compile", "recompute", "signals_every", "warmup_lr", "warmup_error", "warmup_window")


def setting(config: dict[str, Any]) -> str:
    """A digest of all in a config that must be equal for runs to be compared: of two complete ones, or of two cells."""
    config = placeless(config)
    model, trainer = _mapping(config.get("model")), _mapping(config.get("trainer"))
    said = {
        "task": config.get("task"),
        "data": config.get("data"),
        "net": {key: value for key, value in _mapping(model.get("net")).items() if key not in COMPARED_NETS},
        "model": _without(FREE, {key: value for key, value in model.items() if key != "net"}),
        "trainer": {key: trainer.get(key) for key in ("max_steps", "precision")},
    }
    return _digest(said)


def _without(names: tuple[str, ...], value: Any) -> Any:
    """A mapping without the keys of these names, however deep they are."""
    if not isinstance(value, dict):
        return value
    return {key: _without(names, inner) for key, inner in value.items() if key not in names}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def digest(config: dict[str, Any]) -> str:
    """16 hexadecimal digits that are the same for what a grid says of the same run."""
    return _digest(placeless(config))


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
