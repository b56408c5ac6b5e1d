"""A net of one's own: any torch module, named by its dotted path in a config (`model.net.own`)."""

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from lit_resnet import own_code
from lit_resnet.errors import InputError
from lit_resnet.nets.config import NetConfig


class OwnNet(nn.Module):
    """Holds the module that a config names, and says what the rest of the package asks of a net.

    The module takes float images [N, C, H, W] and returns logits [N, num_classes]. It may have a method `layers()` that
    yields the name of each of its layers and the module whose output is the layer's response; without one it has no
    layer responses (Fig. 7) and no signals (Sec. 4.1): which BN belongs to which convolution is never guessed.

    Raises:
        InputError: The class cannot be imported, or cannot be made with these arguments.
    """

    LAST_LAYER: ClassVar[None] = None  # which of its layers it is, nobody says

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        assert config.own is not None  # as its family is `own`
        offered = {"num_classes": config.num_classes, "in_channels": config.in_channels}
        self.module = own_code.made(config.own, "model.net.own", config.own_args, offered)
        if not isinstance(self.module, nn.Module):
            raise InputError(f"model.net.own: {config.own} is no torch module: write the path of a class of nets")

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] float images -> [N, num_classes] logits.

        Raises:
            InputError: The module returns something else.
        """
        logits = self.module(x)
        wanted = (len(x), self.config.num_classes)
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(f"model.net.own: {self.config.own} returns {shape} for {wanted[0]} images: {list(wanted)}")
        return logits

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """The layers that the module names; none where it has no `layers()`."""
        return iter(self.module.layers()) if hasattr(self.module, "layers") else iter(())

    def dense(self, x: Tensor, window: int) -> Tensor:
        """Refuse: a net of one's own has no fully-convolutional form that is known here.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.config}: is not judged at many scales, which needs a fully-convolutional net")
