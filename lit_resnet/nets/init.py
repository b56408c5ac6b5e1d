"""Initial weights."""

from torch import nn


def he_init(module: nn.Module) -> None:
    """Initialise as the paper's ref. [13]: normal with variance 2 / fan-out for convolutions, 2 / fan-in for fc."""
    if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.is_meta:
        return  # it has no values, and going through the motions takes seconds
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
