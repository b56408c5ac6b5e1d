"""What is trained: the paper's plain and residual nets. Knows torch and nothing else."""

from lit_resnet.nets.config import NetConfig
from lit_resnet.nets.resnet import Net, build

__all__ = ["Net", "NetConfig", "build"]
