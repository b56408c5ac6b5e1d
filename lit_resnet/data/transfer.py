"""Copies from this machine's memory to a device."""

import numpy as np
import torch
from torch import Tensor


def sent(values: np.ndarray | Tensor, device: torch.device | None) -> Tensor:
    """The values on a device; this process goes on while a GPU copies them, and does not wait for its earlier work.

    A GPU copies by itself from pinned memory alone. For other memory "the driver may synchronize with the stream" (CUDA
    Runtime API, "API synchronization behavior"): in each iteration the GPU would then be idle while Python launches the
    next one. PyTorch keeps the pinned memory until the copy is made.
    """
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device is not None and device.type == "cuda" and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
