"""A second task for tests: a module, its data and an entry. `python -m toy_task` is `lit-resnet` with it.

The processes that a launch starts import the main module again, and so know the task.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lit_resnet import task
from lit_resnet.data.stream import Stretches
from lit_resnet.errors import InputError
from lit_resnet.metrics import IMAGES_PER_SECOND, LR, TRAIN_LOSS, Metric
from lit_resnet.task import Task
from lit_resnet.training.iterations import Iterations, Speed
from lit_resnet.training.schedule import Rate
from lit_resnet.training.sgd import Sgd
from lit_resnet.training.window import Counts

Batch = tuple[Tensor, Tensor]
DISTANCE = Metric("test_distance", "test distance", unit="px", digits=3)
SIDE = 4


@dataclass(frozen=True)
class ToyNet:
    """A layer that says where in an image something is.

    Args:
        outputs: Coordinates.
    """

    outputs: int = 2

    def __str__(self) -> str:
        return f"toy-{self.outputs}"


class Layer(nn.Module):
    def __init__(self, config: ToyNet) -> None:
        super().__init__()
        self.config = config
        self.fc = nn.Linear(SIDE * SIDE, config.outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1))


class Toy(Iterations):
    """Trained to the least squared distance.

    Args:
        net: The net.
        rate: Its learning rate.
        sgd: SGD's values.
    """

    PLATEAU_METRICS = ("test_distance",)

    def __init__(self, net: ToyNet = ToyNet(), rate: Rate = Rate(lr=0.01), sgd: Sgd = Sgd()) -> None:  # noqa: B008
        super().__init__(Layer(net), rate, sgd, Speed(channels_last=False))
        self.distances: list[Tensor] = []

    def loss(self, batch: Batch) -> tuple[Tensor, Counts]:
        squares = (self.net(batch[0]) - batch[1]).square().sum(1)
        return squares.mean(), Counts(len(batch[0]), {"train_loss": squares.sum()})

    def example(self, images: int, image_shape: tuple[int, int, int]) -> Batch:
        return torch.rand(images, *image_shape, device=self.device), torch.zeros(images, 2, device=self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.distances.append((self.net(batch[0]) - batch[1]).norm(dim=1))

    def evaluation(self) -> dict[str, float]:
        distances, self.distances = torch.cat(self.distances), []
        return {"test_distance": distances.mean().item()}


class Noise:
    """Batch k is a function of k."""

    def __init__(self, size: int, position: int) -> None:
        self.size, self.position = size, position

    def __iter__(self) -> Iterator[Batch]:
        while True:
            drawn = torch.Generator().manual_seed(self.position)
            self.position += 1
            images = torch.rand(self.size, 1, SIDE, SIDE, generator=drawn)
            yield images, images.flatten(1)[:, :2]


class ToyData(LightningDataModule):
    """Images of noise.

    Args:
        batch_size: Images of a batch.
        stretch: Iterations of a training step.
    """

    name, image_shape = "noise", (1, SIDE, SIDE)

    def __init__(self, batch_size: int = 8, stretch: int = 1) -> None:
        super().__init__()
        self.batch_size, self.stretch = batch_size, stretch
        self.damaged_files: list[str] = []
        self.degenerate_boxes: list[str] = []
        self.restored: dict[str, Any] | None = None

    def train_dataloader(self) -> Stretches:
        return Stretches(Noise(self.batch_size, self.trainer.global_step), self.stretch)

    def val_dataloader(self) -> DataLoader:
        return DataLoader([next(iter(Noise(16, 1000)))], batch_size=None)

    def check(self, config: Namespace) -> None:
        if config.data.batch_size > 100:
            raise InputError("data.batch_size: write 100 or less")

    def state(self) -> dict[str, Any]:
        return {"seen": self.trainer.global_step}

    def known_evaluated(self) -> int:
        return 16

    def test_digest(self) -> None:
        return None

    def restore(self, state: dict[str, Any]) -> None:
        self.restored = state


TOY = Task(
    "toy",
    module="toy_task:Toy",
    data="toy_task:ToyData",
    metrics=(TRAIN_LOSS, LR, IMAGES_PER_SECOND, DISTANCE),
    headline=DISTANCE,
)

if __name__ in ("__main__", "__mp_main__"):
    task.TASKS["toy"] = TOY

if __name__ == "__main__":
    from lit_resnet.cli import main

    sys.exit(main())
