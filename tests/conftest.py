"""One thread a process: two test processes with two threads each, on two cores, would wait for each other."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("test_launch.py", "test_shipped_grids.py", "test_devices.py", "test_imagenet_runs.py")


def pytest_collection_modifyitems(items: list) -> None:
    """The longest files first: none is left to one of two workers at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
