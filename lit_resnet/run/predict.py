"""`lit-resnet predict`: what a trained net sees in pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lit_resnet.listing import Columns, Row
from lit_resnet.probes.device import full_precision, gpu_or_cpu
from lit_resnet.run.trained import BATCH_SIZE, TrainedNet, load_run

TOP = 5  # classes that are shown of a picture


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a net sees in a picture.

    Args:
        picture: The file.
        image: As the net sees it: uint8 [C, H, W].
        ranked: The classes with the largest shares, and the shares.
    """

    picture: Path
    image: torch.Tensor
    ranked: list[tuple[str, float]]


def predict(run: Path, pictures: Sequence[Path]) -> tuple[TrainedNet, list[Prediction]]:
    """The net of a finished run, and what it sees in each of the pictures.

    Raises:
        InputError: No finished run, or a file that is no picture or cannot be used; nothing is told of the others.
    """
    net = load_run(run).to(gpu_or_cpu())
    full_precision()  # as in evaluation
    found = []
    for start in range(0, len(pictures), BATCH_SIZE):
        portion = pictures[start : start + BATCH_SIZE]
        images = [net.read(picture) for picture in portion]
        for picture, image, shares in zip(portion, images, net.shares(images), strict=True):
            found.append(Prediction(picture, image, net.ranked(shares)[:TOP]))
    return net, found


def rows(predictions: Sequence[Prediction]) -> list[Row]:
    """A row for each class that is shown of a picture; shares are from 0 to 1."""
    return [
        {"image": str(one.picture), "rank": rank, "class": name, "share": round(share, 6)}
        for one in predictions
        for rank, (name, share) in enumerate(one.ranked, start=1)
    ]


COLUMNS: Columns = {
    "image": lambda r: r["image"] if r["rank"] == 1 else "",
    "class": lambda r: r["class"],
    "share %": lambda r: f"{100 * r['share']:.2f}",
}
