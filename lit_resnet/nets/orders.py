"""The order of convolutions, BN and ReLU in a block: the paper's, and those of its sequel (arXiv 1603.05027, Table 2).

A new order is an entry in `ORDERS`; `NetConfig.order` chooses it by its name there.
"""

from dataclasses import dataclass
from typing import Literal

Step = Literal["conv", "bn", "relu"]


@dataclass(frozen=True)
class Order:
    """What a block does, and what follows its addition.

    Args:
        layer: The steps of a layer; of each but the last one.
        last: The steps of its last layer.
        after: What follows the addition.
        label: What it adds to the name of a net.
    """

    layer: tuple[Step, ...]
    last: tuple[Step, ...]
    after: tuple[Step, ...] = ()
    label: str = ""

    @property
    def leading(self) -> tuple[Step, ...]:
        """What comes before the first convolution: the pre-activation.

        What the stem ends with takes its place in the first block, and it comes once more after the last block. A
        projection, which is a layer beside the block's own, begins with it, too.
        """
        return self.layer[: self.layer.index("conv")]


ORDERS = {
    "paper": Order(("conv", "bn", "relu"), ("conv", "bn"), after=("relu",)),
    "bn-after": Order(("conv", "bn", "relu"), ("conv",), after=("bn", "relu"), label="BN after addition"),
    "relu-before": Order(("conv", "bn", "relu"), ("conv", "bn", "relu"), label="ReLU before addition"),
    "relu-only": Order(("relu", "conv", "bn"), ("relu", "conv", "bn"), label="ReLU-only pre-activation"),
    "full": Order(("bn", "relu", "conv"), ("bn", "relu", "conv"), label="pre-activation"),
}
