"""One thread a process: two test processes with two threads each, on two cores, would wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("test_launch.py", "test_shipped_grids.py", "test_devices.py", "test_imagenet_runs.py")


def pytest_collection_modifyitems(items: list) -> None:
    """The longest files first: none is left to one of two workers at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
