"""The scores that a net gives to images in one view.

Scores are outputs of softmax. They are averaged over crops, positions and mirror images here, and over scales and nets
later. Softmax is taken in 32-bit floats, sums in 64 bits.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_resnet.data.augment import subtract_mean
from lit_resnet.evaluation.views import View
from lit_resnet.nets import Net, NetConfig


@torch.inference_mode()
def scores(net: Net, mean: Tensor, view: View, images: Sequence[Tensor], batch_size: int) -> Tensor:
    """Scores of N images, float32 [N, classes], on the CPU.

    Args:
        net: In evaluation mode.
        mean: The mean that is subtracted, in levels, on the device of the net: [C, 1, 1], or of the size of a training
            crop. For a dense view the latter is resized.
        view: The parts of each image that are shown to the net; they are mirrored after the subtraction.
        images: uint8 [C, h, w] each, resized as the view needs them.
        batch_size: Crops of a forward pass. Of larger images there are fewer, with as many pixels; at least one.
    """
    found = torch.empty(len(images), net.config.num_classes)
    by_shape = defaultdict(list)
    for i, image in enumerate(images):
        by_shape[image.shape].append(i)
    for (_, height, width), index in by_shape.items():
        n = max(1, batch_size // _crops(view, height, width))
        for part in (index[start : start + n] for start in range(0, len(index), n)):
            found[part] = _scores(net, mean, view, view.cut([images[i] for i in part])).cpu()
    return found


def _scores(net: Net, mean: Tensor, view: View, seen: Tensor) -> Tensor:
    """Mean scores of crops [N, crops of an image, C, height, width]: float32 [N, classes]."""
    n, views = seen.shape[:2]
    if view.kind == "dense" and mean.shape[1:].numel() > 1:
        mean = F.interpolate(mean[None], seen.shape[-2:], mode="bilinear")[0]
    x = subtract_mean(seen.to(mean.device).flatten(0, 1), mean)
    if view.mirrored:
        x = torch.cat([x, x.flip(-1)])
    x = x.contiguous(memory_format=torch.channels_last)
    logits = net.dense(x, window(net.config, view.trained_crop)) if view.kind == "dense" else net(x)[:, :, None, None]
    of_positions = logits.softmax(1).double().mean((2, 3))
    return of_positions.unflatten(0, (-1, n, views)).mean((0, 2)).float()


def window(config: NetConfig, crop: int) -> int:
    """Side of the last map of a training crop: 7 for 224 in Table 1's nets. The whole map is one position."""
    if config.family == "vgg":
        return crop // 32  # its pools drop a last odd row or column
    return -(-crop // (32 if config.family == "imagenet" else 4))


def _crops(view: View, height: int, width: int) -> int:
    """How many crops have as many pixels as the parts of one image that are shown to the net."""
    if view.kind == "dense":
        return 2 * -(-height * width // view.trained_crop**2)
    return 10 if view.kind == "ten-crop" else 1
