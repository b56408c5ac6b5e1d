"""When two configs mean the same: the same run, one that may go on, or two that were trained alike.

Each function that answers returns the first key that differs, with both values; the empty string means yes.
"""

import hashlib
import json
from typing import Any

from lit_resnet import data_sets
from lit_resnet.errors import shown
from lit_resnet.nested import mapping_at
from lit_resnet.task import TASKS

# Keys that may differ between runs that are compared: the net's kind; speed, memory and logging, which change no
# result; the warm-up, which the paper gives to its deepest nets alone; and whether the biases of gates decay, which is
# nothing to the nets without gates that gated ones are compared with.
KIND = ("depth", "shortcut", "block", "gate", "gate_value", "order")  # of model.net: what the papers vary
COMPARED = (*KIND, "own", "own_args")  # of model.net; a task may have more
FREE = (
    *("channels_last", "compile", "recompute", "signals_every"),
    *("warmup_lr", "warmup_error", "warmup_window", "decay_gates"),
)
READING = ("workers", "damaged")  # of data.photographs: how they are read
LATER = ("start", "bn_images")  # keys of the model that earlier versions lack
STARTED = "trained weights"  # in place of the path of `model.start`: each net of a comparison starts from its own
TRAINER = ("max_steps", "precision")  # the keys of the trainer that change what is learned


def same_run(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first key in which two configs are not the same run, whatever the place of their data and how it is read."""
    return _difference(_placeless(old), _placeless(new))


def otherwise(complete: dict[str, Any], said: dict[str, Any]) -> str:
    """The first key that a complete config has otherwise than a grid says it; others are not looked at."""
    return _otherwise(_placeless(complete), _placeless(said), "")


def may_resume(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first key that forbids a run of the old config to go on with the new one."""
    return _difference(_resumable(old), _resumable(new))


def trained_alike(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first key by which two trainings differ in more than their nets, so that errors cannot be compared.

    Seeds, the net's depth, shortcut, block, gate and order, and `FREE` may differ. Missing keys are not filled in: give
    both configs complete, or both as a grid says them.
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
            return f"{prefix}{key} ({shown(before)}, not {shown(after)})"
    return ""


def _otherwise(complete: Any, said: Any, key: str) -> str:
    if isinstance(complete, dict) and isinstance(said, dict):
        pairs = ((f"{key}.{name}" if key else str(name), complete.get(name), value) for name, value in said.items())
    elif isinstance(complete, list) and isinstance(said, list) and len(complete) == len(said):
        pairs = ((key, *pair) for pair in zip(complete, said, strict=True))
    else:
        alike = complete == said or str(complete) == str(said) or (said is None and isinstance(complete, dict))
        completed = key.endswith("class_path") and str(complete).endswith(f".{said}")  # by the parser
        return "" if alike or completed else f"{key} ({shown(complete)}, not {shown(said)})"
    return next(filter(None, (_otherwise(there, value, name) for name, there, value in pairs)), "")


def _resumable(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what may change when a run goes on: how images are read, and what happens to damaged ones.

    Neither the place of the weights that it started from: their digest, which status.json keeps, says which they are.
    """
    model = config.get("model")
    if isinstance(model, dict) and model.get("start") is not None:
        config = config | {"model": model | {"start": STARTED}}
    data = config.get("data")
    if not isinstance(data, dict):
        return config
    data = {key: value for key, value in data.items() if key != "workers"}
    if isinstance(data.get("photographs"), dict):
        data["photographs"] = {key: value for key, value in data["photographs"].items() if key not in READING}
    return config | {"data": data}


def _placeless(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the place of its data; only a folder of images keeps its name."""
    config = _resumable(config)
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("root"), str):
        return config
    return config | {"data": data | {"root": data_sets.identity(data.get("source"), data["root"])}}


def _training(config: dict[str, Any]) -> dict[str, Any]:
    """A config without all that may differ between two nets that were trained alike."""
    config = _placeless(config)
    model, trainer = mapping_at(config, "model"), mapping_at(config, "trainer")
    task = TASKS.get(str(config.get("task")))
    compared = (*COMPARED, *(task.compared if task else ()))
    net = {key: value for key, value in mapping_at(model, "net").items() if key not in compared}
    # Left out where they are null, as they are missing in the configs of earlier versions.
    model = {key: value for key, value in model.items() if key not in LATER or value is not None}
    return {
        "task": config.get("task"),
        "model": _without(FREE, {**model, "net": net}),
        "data": config.get("data"),
        "trainer": {key: trainer.get(key) for key in TRAINER},
    }


def _without(names: tuple[str, ...], mapping: dict[str, Any]) -> dict[str, Any]:
    """A mapping without the keys of these names, at any depth, and without the mappings that this empties."""
    kept = {
        key: _without(names, value) if isinstance(value, dict) else value
        for key, value in mapping.items()
        if key not in names
    }
    return {key: value for key, value in kept.items() if value != {}}


def _digits(config: dict[str, Any]) -> str:
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
