"""What a run folder keeps of the weights that its run started from (`model.start`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lit_resnet.errors import shown


@dataclass(frozen=True)
class Started:
    """What status.json and summary.json keep of the weights that a run started from.

    Args:
        digest: SHA-256 of the file that had them: these, and no others, make it the same run.
        net: Name of the net that they were trained in.
        path: Where they were, as the config says it.
    """

    digest: str
    net: str
    path: str


def parse(content: Mapping[str, Any]) -> Started:
    """What a file holds of it.

    Raises:
        ValueError: What is wrong with it.
    """
    values = [content.get(name) for name in ("digest", "net", "path")]
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"damaged (start is {shown(dict(content))})")
    digest, net, path = map(str, values)
    return Started(digest, net, path)
