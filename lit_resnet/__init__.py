"""lit_resnet: Deep Residual Learning for Image Recognition, reproduced run by run.

What a program needs is here, and is imported when it is used: `import lit_resnet` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from lit_resnet.data.module import ImageData
    from lit_resnet.nets import NetConfig, build
    from lit_resnet.report.frame import read_runs
    from lit_resnet.run.trained import load_run
    from lit_resnet.training.classifier import LitResNet

__all__ = ["ImageData", "LitResNet", "NetConfig", "__version__", "build", "load_run", "read_runs"]

_PLACES = {
    "ImageData": "data.module",
    "LitResNet": "training.classifier",
    "NetConfig": "nets",
    "build": "nets",
    "load_run": "run.trained",
    "read_runs": "report.frame",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
