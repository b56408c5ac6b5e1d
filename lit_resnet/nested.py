"""Values in nested mappings, as configs are, which may come from elsewhere: nothing in them is taken for granted."""

from typing import Any


def value_at(config: Any, key: str) -> Any:
    """The value of `model.net.depth`, say, in a nested config; None where there is none."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config


def mapping_at(config: Any, key: str) -> dict[str, Any]:
    """The mapping under such a key; an empty one where there is none."""
    value = value_at(config, key)
    return value if isinstance(value, dict) else {}
