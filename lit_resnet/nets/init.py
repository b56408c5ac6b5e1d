"""Initial weights."""

from torch import nn

from lit_resnet.nets.gates import Gate


def he_init(module: nn.Module) -> None:
    """Initialise as the paper's ref. [13]: normal with variance 2 / fan-out for convolutions, 2 / fan-in for fc.

    Ref. [13] derives both forms and calls either enough; the paper does not say which it took. Fan-out keeps the
    variance of the gradients from layer to layer.

    Gates begin as they say themselves (`Gate.begin`).

    On the meta device there are no weights, and PyTorch takes as long as for small ones to draw nothing.
    """
    if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.is_meta:
        return
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, Gate):  # after its convolution
        module.begin()
