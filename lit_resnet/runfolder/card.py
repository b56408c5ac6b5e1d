"""The card of a net: what a .safetensors file says of its weights. Read without torch, and without the weights."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lit_resnet import data_sets
from lit_resnet.errors import InputError
from lit_resnet.files import open_file, parse_json
from lit_resnet.nested import mapping_at
from lit_resnet.runfolder import summary as summaries
from lit_resnet.runfolder.summary import Summary
from lit_resnet.sameness import TRAINER

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
        """Where the error of this very net on all such images lies, in percent: 95 %, Wilson's; None if not known."""
        error = self.summary.metrics.get("test_error")
        if error is None or not self.tested:
            return None
        from scipy.stats import binomtest  # takes half a second

        found = binomtest(round(error * self.tested / 100), self.tested).proportion_ci(method="wilson")
        return 100 * float(found.low), 100 * float(found.high)

    def text(self) -> str:
        """What a file holds of it, as JSON."""
        return json.dumps(asdict(self) | {"summary": self.summary.content()})


def placeless(summary: Summary, config: dict[str, Any]) -> Summary:
    """A summary to pass on: it names no machine, and no more of places than what tells runs apart.

    Args:
        summary: The run's.
        config: The run's config. Of its trainer only what changes what is learned is kept: loggers and callbacks have
            places, and keys.
    """
    model, data, trainer = (mapping_at(config, key) for key in ("model", "data", "trainer"))
    if isinstance(model.get("start"), str):
        model = model | {"start": Path(model["start"]).name}
    if isinstance(data.get("root"), str):
        name = data_sets.identity(data.get("source"), data["root"])
        data = {key: value for key, value in data.items() if key != "root"} | ({} if name is None else {"root": name})
    kept = {"model": model, "data": data, "trainer": {key: trainer.get(key) for key in TRAINER}}
    start = summary.start and replace(summary.start, path=Path(summary.start.path).name)
    return replace(summary, config=kept, host=None, start=start)


def images(kept: Any) -> Images | None:
    """What a checkpoint or a card says of images; None where it does not say all of it."""
    kept = kept if isinstance(kept, dict) else {}
    classes, shape, short = (kept.get(key) for key in ("classes", "image_shape", "short_side"))
    known = isinstance(shape, list) and len(shape) == 3 and all(map(_is_side, shape)) and "short_side" in kept
    known = known and (short is None or (_is_side(short) and short >= max(shape[1:])))
    if not (known and isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        return None
    return Images(tuple(classes), (shape[0], shape[1], shape[2]), short)


def _is_side(value: Any) -> bool:
    return type(value) is int and 0 < value <= data_sets.MOST_PIXELS


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
        return _parse(parse_json(text.encode()))
    except ValueError as error:  # also half a letter
        raise InputError(f"{path}: what it says of its net cannot be used: {error}") from None


def _parse(content: dict[str, Any]) -> Card:
    """The card in JSON.

    Raises:
        ValueError: What is wrong with it.
    """
    if not isinstance(content.get("summary"), dict):
        raise ValueError("damaged (summary is missing)")
    summary = summaries.parse(content["summary"])
    if "predictions" not in summary.kind.probes:
        raise ValueError(f"it is of {summary.task}, and files are of nets that classify whole images")
    found = images(content.get("images"))
    digest, tested = content.get("config_digest"), content.get("tested")
    sizes = tuple(summary.net_config.get(key) for key in ("num_classes", "in_channels"))
    if found is None or (len(found.classes), found.image_shape[0]) != sizes:
        raise ValueError("damaged (images)")
    if not isinstance(digest, str):
        raise ValueError("damaged (config_digest)")
    if tested is not None and not (type(tested) is int and 0 < tested <= summaries.MOST):
        raise ValueError("damaged (tested)")
    return Card(summary, found, digest, tested)
