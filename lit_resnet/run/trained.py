"""The net of a finished run, of its folder, a file or the model zoo, for use without its data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_resnet.data.augment import subtract_mean
from lit_resnet.data.photographs import Damaged
from lit_resnet.data.picture import MOST_PIXELS, read_picture
from lit_resnet.errors import InputError, shown
from lit_resnet.evaluation.scores import scores
from lit_resnet.evaluation.views import View
from lit_resnet.nets import Net
from lit_resnet.run.models import newest
from lit_resnet.runfolder import card as cards
from lit_resnet.runfolder.card import SUFFIX, Images
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.summary import Summary
from lit_resnet.runfolder.zoo import located, near
from lit_resnet.training import net_file
from lit_resnet.training.weights import fresh_net, is_mean, net_weights, read_weights

BATCH_SIZE = 64  # images of a forward pass


class TrainedNet(torch.nn.Module):
    """A trained net in evaluation mode, for images as they are read: it subtracts the mean and scales them itself.

    Attributes:
        net: The net, for images with the mean subtracted.
        mean: That of the training images, in levels (0 to 255): [C, H, W], or [C, 1, 1] of photographs.
        images: What images it is for: the next three.
        classes: Names of the classes, in the order of the logits.
        image_shape: (C, H, W) of an image, or of the crop of a photograph that the net was trained on.
        short_side: Size of a test photograph's shorter side before the crop; None of a net for images seen whole.
        summary: What the run says of itself.
        place: The run's folder, or the file.
    """

    mean: Tensor

    def __init__(self, net: Net, mean: Tensor, images: Images, summary: Summary, place: Path) -> None:
        super().__init__()
        self.net, self.images, self.summary, self.place = net, images, summary, place
        self.classes, self.image_shape, self.short_side = images.classes, images.image_shape, images.short_side
        self.register_buffer("mean", mean)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Images [N, C, H, W] in levels, uint8 or float -> logits [N, classes].

        Raises:
            InputError: They have another shape than the images that the net was trained on. Photographs may have
                any size that the net takes.
        """
        sides = self.image_shape if self.mean.shape[-1] > 1 else (self.image_shape[0], *images.shape[2:])
        if images.ndim != 4 or tuple(images.shape[1:]) != sides:
            wanted = ", ".join(map(str, ("N", *sides)))
            raise InputError(f"the images have the shape {list(images.shape)}: give [{wanted}], levels from 0 to 255")
        return self.net(subtract_mean(images, self.mean))

    def read(self, picture: Path | str) -> Tensor:
        """A picture of any size and format as the net sees a test image: uint8 of `image_shape`.

        It is resized as test images are (its shorter side to `short_side`, or to the size of the images) and the middle
        is cut out. Grey for a net of one channel, else RGB.

        Raises:
            InputError: The file is no picture, or one that cannot be used.
        """
        channels, height, width = self.image_shape
        image = read_picture(picture, channels)
        least = (height, width) if self.short_side is None else (self.short_side, self.short_side)
        size = _covering(tuple(image.shape[1:]), least)
        if size[0] * size[1] > MOST_PIXELS:
            sides = f"{image.shape[2]}x{image.shape[1]}"
            raise Damaged(picture, f"is {sides}, too long and narrow to be resized: cut it")
        if size != image.shape[1:]:
            image = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        return image[:, top : top + height, left : left + width]

    def shares(self, images: Sequence[Tensor]) -> Tensor:
        """Images of `image_shape`, uint8 -> outputs of softmax: float32 [N, classes], on the CPU.

        They are those by which `lit-resnet evaluate` judges the net by the centre crop.
        """
        return scores(self.net, self.mean, View("center"), images, BATCH_SIZE)

    def predict(self, picture: Path | str) -> list[tuple[str, float]]:
        """The classes with their shares of a picture, the largest first; the shares add up to 1.

        Raises:
            InputError: As `read`.
        """
        return self.ranked(self.shares([self.read(picture)])[0])

    def ranked(self, shares: Tensor) -> list[tuple[str, float]]:
        """Names and shares of all classes, the largest share first."""
        order = shares.argsort(descending=True, stable=True).tolist()
        return [(self.classes[i], shares[i].item()) for i in order]


def load_run(run: str | Path) -> TrainedNet:
    """Load a net that classifies: the last weights of a finished run. Needs no images.

    Args:
        run: The run's folder, a file of `lit-resnet export`, or the name of a net of the model zoo.

    Raises:
        InputError: No run there, one that is not finished, or one whose files are damaged or of an earlier version.
    """
    place = located(run)
    if place.exists() and not place.is_dir():
        if place.suffix != SUFFIX:
            raise InputError(f"{place}: write the folder of a finished run, or a {SUFFIX} file of lit-resnet export")
        found = net_file.read(place)
        net = _loaded(found.card.summary, place, found.checkpoint, place)
        return TrainedNet(net, found.mean, found.card.images, found.card.summary, place)
    folder = RunFolder(place)
    summary = folder.summary()
    if summary is None:
        raise InputError(_unfinished(folder))
    if "predictions" not in summary.kind.probes:
        raise InputError(f"{place}: a run of {summary.task}, and this is for nets that classify whole images")
    path = newest(folder)
    checkpoint, _ = read_weights(path)
    kept = checkpoint.get("data")
    kept = kept if isinstance(kept, dict) else {}
    if prepared_by := kept.get("prepared_by"):
        raise InputError(
            f"{path}: its images are prepared by {shown(prepared_by)}, which this package does not know; the net alone "
            "is LitResNet.load_from_checkpoint(file).net"
        )
    net = _loaded(summary, folder.summary_file, checkpoint, path)
    mean, images = kept.get("mean"), cards.images(kept)
    if images and (len(images.classes), images.image_shape[0]) == (net.config.num_classes, net.config.in_channels):
        channels, *sides = images.image_shape
        if is_mean(mean, channels, sides):
            return TrainedNet(net, mean, images, summary, place)
    raise InputError(
        f"{path}: does not say what images it is for, as those of an earlier version; lit-resnet evaluate can use it "
        "where the images are"
    )


def _loaded(summary: Summary, said: Path, checkpoint: dict[str, Any], path: Path) -> Net:
    """The net of a summary, which is in the file `said`, with the weights of a checkpoint, which is in `path`."""
    net = fresh_net(summary, said)
    net.load_state_dict(net_weights(net, checkpoint, path))
    return net


def _unfinished(run: RunFolder) -> str:
    """Why a folder without a summary gives no net: there is none in it, or one whose training goes on."""
    if not run.config_file.is_file():
        return (
            f"{run.path}: no run here; write the folder of a finished run, such as runs/quickstart/ResNet-20-seed0, or "
            f"a name that lit-resnet zoo lists{near(run.path)}"
        )
    status = run.status()
    return (
        f"{run.path}: not finished (iteration {status.step:,} of {status.max_steps:,}): its net can be used then; "
        "lit-resnet evaluate judges its newest checkpoint meanwhile"
    )


def _covering(size: tuple[int, ...], least: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image that is resized so that both are just large enough; as torchvision's Resize."""
    (height, width), (least_height, least_width) = size, least
    if least_height * width >= least_width * height:
        return least_height, int(least_height * width / height)
    return int(least_width * height / width), least_width
