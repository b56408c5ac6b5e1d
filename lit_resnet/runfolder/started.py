"""What a run folder keeps of the weights that its run started from (`model.start`)."""

from dataclasses import dataclass, fields
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


def parse(content: Any) -> Started | None:
    """What a file holds under `start`.

    Raises:
        ValueError: What is wrong with it.
    """
    if content is None:
        return None
    names = [field.name for field in fields(Started)]
    if not isinstance(content, dict) or not all(isinstance(content.get(name), str) for name in names):
        raise ValueError(f"damaged (start is {shown(content)})")
    return Started(**{name: content[name] for name in names})
