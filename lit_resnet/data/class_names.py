"""Names of the classes of published data sets, in the order of their labels; and whether two lists of names agree."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from lit_resnet.errors import InputError, shown

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# fmt: off
CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)
# fmt: on

FASHION = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def check_classes(here: Sequence[str], there: Any, where: str) -> None:
    """Refuse images whose classes have other names than those that a net was trained on, or another order.

    Args:
        here: Those of the images.
        there: Those of the net, as a file says them; what is no list says none.
        where: What has the images, for the error.

    Raises:
        InputError: With the first one.
    """
    if not isinstance(there, list | tuple):
        return
    for i, (ours, theirs) in enumerate(zip_longest(here, there, fillvalue="none"), start=1):
        if ours != theirs:
            raise InputError(
                f"{where}: class {i} of these images is {shown(ours)}, and of the net {shown(theirs)}: give images "
                "with the classes that it was trained on"
            )
