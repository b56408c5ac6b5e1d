"""The net of a finished run, for use without its data set."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lit_resnet.data.augment import subtract_mean
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.own_code import check_named
from lit_resnet.run.models import newest, read
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.summary import Summary
from lit_resnet.training.weights import net_weights


class TrainedNet(nn.Module):
    """A trained net in evaluation mode, for images as they are read: it subtracts the mean and scales them itself.

    Attributes:
        net: The net, for images with the mean subtracted.
        mean: That of the training images, in levels (0 to 255): [C, H, W], or [C, 1, 1] of photographs.
        classes: Names of the classes, in the order of the logits.
        image_shape: (C, H, W) of an image, or of the crop of a photograph that the net was trained on.
        summary: What the run says of itself.
    """

    mean: Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Tensor,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int],
        summary: Summary,
    ) -> None:
        super().__init__()
        self.net, self.classes, self.image_shape, self.summary = net, classes, image_shape, summary
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


def load_run(folder: str | Path) -> TrainedNet:
    """Load a finished run of classification: its net with the weights of its last checkpoint. Needs no images.

    Args:
        folder: The run's folder.

    Raises:
        InputError: No run there, one that is not finished, or one whose files are damaged or of an earlier version.
    """
    run = RunFolder(folder)
    summary = run.summary()
    if summary is None:
        raise InputError(f"{run.path}: no finished run here (summary.json is missing)")
    try:
        config = NetConfig(**summary.net_config)
        check_named(config.own, str(run.summary_file))
        net = build(config)
    except (TypeError, ValueError) as error:
        raise InputError(f"{run.summary_file}: not the net of a classification run ({error})") from None
    checkpoint, _ = read(newest(run))
    net.load_state_dict(net_weights(net, checkpoint))
    mean, classes, shape = _images(run, net.config, checkpoint.get("data"))
    return TrainedNet(net, mean, classes, shape, summary)


def _images(run: RunFolder, config: NetConfig, kept: Any) -> tuple[Tensor, tuple[str, ...], tuple[int, int, int]]:
    """What a checkpoint keeps of the images: their mean, classes and shape."""
    kept = kept if isinstance(kept, dict) else {}
    mean, classes, shape = (kept.get(key) for key in ("mean", "classes", "image_shape"))
    known = isinstance(shape, list) and len(shape) == 3 and all(type(side) is int for side in shape)
    if known and isinstance(mean, Tensor) and isinstance(classes, list) and len(classes) == config.num_classes:
        channels, height, width = shape
        right = channels == config.in_channels and mean.dtype == torch.float32
        if right and tuple(mean.shape) in ((channels, 1, 1), (channels, height, width)):
            return mean, tuple(map(str, classes)), (channels, height, width)
    raise InputError(f"{run.checkpoints}: the checkpoint does not say what images it is for; train the run again")
