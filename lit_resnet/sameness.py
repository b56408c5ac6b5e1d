"""When two configs mean the same run."""

import hashlib
import json
from typing import Any

from lit_resnet import data_sets


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
    return config | {"data": data | {"root": data_sets.identity(data.get("source"), data["root"])}}


def digest(config: dict[str, Any]) -> str:
    """16 hexadecimal digits that are the same for what a grid says of the same run."""
    text = json.dumps(placeless(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
