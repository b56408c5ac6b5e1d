"""lit_resnet: Deep Residual Learning for Image Recognition, reproduced run by run."""

__version__ = "0.1.0"
