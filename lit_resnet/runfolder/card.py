"""The card of a net: what a .safetensors file says of its weights. Read without torch, and without the weights."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lit_resnet import data_sets
from lit_resnet.errors import InputError
from lit_resnet.files import open_file
from lit_resnet.runfolder import summary as summaries
from lit_resnet.runfolder.summary import Summary

SUFFIX = ".safetensors"  # of the file's name
KEY = "lit_resnet.json"  # of the card in the file's header


@dataclass(frozen=True)
class Images:
    """What images a net is for.

    Args:
        classes: Names of the classes, in the order of the logits.
        image_shape: (C, H, W) of an image, or of the crop of a photograph that the net was trained on.
        short_side: Size of a test photograph's shorter side before the crop; None of a net for images seen whole.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    short_side: int | None


@dataclass(frozen=True)
class Card:
    """A trained net in words.

    Args:
        summary: What its run says of itself, without places (`placeless`).
        images: What images it is for.
        config_digest: That of the run's config (`sameness.digest`).
        tested: Test images that its test error is of; None where that is not known.
    """

    summary: Summary
    images: Images
    config_digest: str
    tested: int | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """In which the error of this net lies on more such images, in percent: 95 %, Wilson's; None where not known."""
        error = self.summary.metrics.get("test_error")
        if error is None or not self.tested:
            return None
        from scipy.stats import binomtest  # takes half a second

        found = binomtest(round(error * self.tested / 100), self.tested).proportion_ci(method="wilson")
        return 100 * float(found.low), 100 * float(found.high)

    def text(self) -> str:
        """What a file holds of it, as JSON."""
        return json.dumps(asdict(self) | {"summary": self.summary.content()})


def placeless(summary: Summary) -> Summary:
    """A summary to pass on, that names no machine, and no more of its places than what tells runs apart."""
    config, data = summary.config, summary.config.get("data")
    if isinstance(data, dict) and isinstance(data.get("root"), str):
        name = data_sets.identity(data.get("source"), data["root"])
        others = {key: value for key, value in data.items() if key != "root"}
        config = config | {"data": others | ({} if name is None else {"root": name})}
    start = summary.start and replace(summary.start, path=Path(summary.start.path).name)
    return replace(summary, config=config, host=None, start=start)


def images(kept: Any) -> Images | None:
    """What a checkpoint or a card says of images; None where it does not say all of it."""
    kept = kept if isinstance(kept, dict) else {}
    classes, shape, short = (kept.get(key) for key in ("classes", "image_shape", "short_side"))
    known = isinstance(shape, list) and len(shape) == 3 and all(type(side) is int and side > 0 for side in shape)
    known = known and "short_side" in kept and (short is None or (type(short) is int and short >= max(shape[1:])))
    if not (known and isinstance(classes, list)):
        return None
    return Images(tuple(map(str, classes)), (shape[0], shape[1], shape[2]), short)


def read(path: Path) -> Card:
    """The card of a file.

    Raises:
        InputError: It is no such file, or none that `lit-resnet export` has written.
    """
    try:
        open_file(path).close()  # which refuses what is no file
        with safe_open(str(path), "np") as file:
            text = (file.metadata() or {}).get(KEY)
    except (OSError, SafetensorError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "damaged, or no safetensors"
        raise InputError(
            f"{path}: not weights that can be read ({reason}); write a file of lit-resnet export"
        ) from None
    if text is None:
        raise InputError(f"{path}: says nothing of its net, as files of lit-resnet export do; write one of these")
    try:
        return _parse(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: what it says of its net cannot be used: {error}") from None


def _parse(content: Any) -> Card:
    """The card in JSON.

    Raises:
        ValueError: What is wrong with it.
    """
    if not isinstance(content, dict) or not isinstance(content.get("summary"), dict):
        raise ValueError("damaged (summary is missing)")
    found = images(content.get("images"))
    digest, tested = content.get("config_digest"), content.get("tested")
    if found is None:
        raise ValueError("damaged (images)")
    if not isinstance(digest, str):
        raise ValueError("damaged (config_digest)")
    if tested is not None and not (type(tested) is int and 0 < tested <= summaries.MOST):
        raise ValueError("damaged (tested)")
    return Card(summaries.parse(content["summary"]), found, digest, tested)
