import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from lit_resnet.data.photographs import Damaged, read_photograph
from lit_resnet.data.reading import Damages, default_workers, in_order, read_in_order
from lit_resnet.errors import InputError


def shape(image: torch.Tensor) -> tuple[int, ...]:
    return tuple(image.shape)


def files_of(root: Path) -> list[Path]:
    return sorted(root.glob("train/*/*"))


@pytest.mark.parametrize("workers", [0, 2])
def test_views_are_in_the_order_of_the_files(photo_root: Path, workers: int) -> None:
    files = files_of(photo_root)
    batches = list(read_in_order(files, shape, workers, batch=4))
    assert [len(batch) for batch in batches] == [4, 4, 4, 1]
    assert [one for batch in batches for one in batch] == [tuple(read_photograph(file).shape) for file in files]
    assert len({one for batch in batches for one in batch}) > 5


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_file_fails_in_one_line_or_is_left_out(
    photo_root: Path, workers: int, cut_off: Callable[[Path], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    files = files_of(photo_root)
    broken = cut_off(files[2])
    with pytest.raises(InputError) as error:
        list(read_in_order(files, shape, workers, batch=2))
    assert str(error.value) == f"{broken}: not an image, or a damaged one: replace it"
    views = [one for batch in read_in_order(files, shape, workers, 2, damaged="skip") for one in batch]
    assert [i for i, view in enumerate(views) if view is None] == [2]
    assert capfd.readouterr().err == f"skipped: {error.value}\n"  # and no traceback


def test_each_damaged_file_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    damages = Damages("skip")
    for name in ("a", "b", "a"):
        damages.met(Damaged(name))
    assert len(damages.named) == 2
    assert capsys.readouterr().err.count("skipped: ") == 2


def test_torchs_random_numbers_are_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert list(in_order(abs, range(3), workers=1)) == [0, 1, 2]
    assert torch.equal(torch.get_rng_state(), before)


def signalled(number: int, parent: int) -> tuple[int, int]:
    """As Ctrl-C and `timeout` do it, which reach a whole group of processes."""
    if os.getpid() != parent and os.fork() == 0:  # the signal is to come from a process that is not the parent
        worker = os.getppid()
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        os._exit(0)
    os.wait()
    return number, signal.getsignal(signal.SIGINT)


def test_workers_outlive_signals_that_are_for_their_parent() -> None:
    def handler(*_: object) -> None:
        os._exit(3)  # of a worker that inherited it

    before = signal.signal(signal.SIGTERM, handler)
    try:
        work = partial(signalled, parent=os.getpid())
        assert list(in_order(work, range(4), workers=2)) == [(i, signal.SIG_IGN) for i in range(4)]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("cores", "devices", "workers"), [(1, 1, 0), (2, 1, 2), (8, 2, 4), (8, 16, 1), (96, 1, 16), (96, 8, 12)]
)
def test_cores_are_shared_out(cores: int, devices: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert default_workers(devices) == workers
