"""What a detector finds in a test image, in the pixels of the file."""

import numpy as np

from lit_resnet.data.boxes import Annotated, Found
from lit_resnet.data.boxes.stream import SizedImage
from lit_resnet.nets.detector import Detector


def found_in(net: Detector, image: SizedImage, annotated: Annotated, refine: bool = False) -> Found:
    """What is found, with the image at its first size; the others, if any, are for multi-scale testing.

    Args:
        net: In evaluation mode.
        image: The image, on the device of the net.
        annotated: What is known of the image; its boxes are not looked at.
        refine: Whether boxes are refined (Appendix B).
    """
    first, *others = image.sizes
    found = net.detect(first, others, refine)
    boxes = found.boxes.double().cpu().numpy() / annotated.scale(*first.shape[1:])
    return Found(boxes.astype(np.float32), found.labels.cpu().numpy(), found.scores.cpu().numpy())
