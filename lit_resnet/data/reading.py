"""Work on files by worker processes: what comes back is in order, and read some way ahead of who asks for it."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lit_resnet.data.photographs import Damaged, read_photograph

S, T = TypeVar("S"), TypeVar("T")
Policy = Literal["fail", "skip"]  # about damaged files

MOST_WORKERS = 16  # of one device: they decode more than a GPU trains on


def default_workers(devices: int = 1) -> int:
    """Worker processes for each of the devices of this machine that train: the cores of this process, shared out.

    At most `MOST_WORKERS`; 0, which is no processes at all, where there is a single core: it would only change hands.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if cores == 1 else min(max(1, cores // devices), MOST_WORKERS)


def in_order(work: Callable[[S], T], specs: Iterable[S], workers: int, pin_memory: bool = False) -> Iterator[T]:
    """`work(spec)` for each of the specs, which may be endless, in their order; some are worked on ahead.

    Close it (or come to its end): the workers of one that is left to the garbage collector take 5 s to end.

    Args:
        work: A function that pickle knows, or an object of a class of a module. Tensors that it returns come through
            shared memory; each takes a file descriptor for as long as it lives.
        specs: What it gets. Drawn in this process.
        workers: Processes of one thread each; 0 for this process, which then works when it is asked.
        pin_memory: Put the tensors into memory from which a GPU copies without this process.
    """
    loader = DataLoader(
        _Work(work),
        sampler=specs,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        # Python's own choice may import torch anew for each. macOS cannot fork a process with threads.
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        worker_init_fn=_leave_signals_to_the_parent,
        generator=torch.Generator(),  # of a seed that no work looks at: torch's global one must not move
        pin_memory=pin_memory,
    )
    with _blocked_signals():
        items = iter(loader)
    try:
        yield from items
    finally:
        del items  # ends the workers


class Damages:
    """What becomes of damaged files: under `fail` the first one ends it all, under `skip` each is named once.

    `named` are those, by path.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy, self.named = policy, set[str]()

    def met(self, damaged: Damaged) -> None:
        """Heed one of them.

        Raises:
            Damaged: It, under `fail`.
        """
        if self.policy == "fail":
            raise damaged
        if str(damaged.path) not in self.named:
            self.named.add(str(damaged.path))
            print(f"skipped: {damaged}", file=sys.stderr)


def read_in_order(
    files: Sequence[Path | str], view: Callable[[Tensor], T], workers: int, batch: int, damaged: Policy = "fail"
) -> Iterator[list[T | None]]:
    """What `view` makes of each photograph, uint8 [3, H, W], in the order of the files: lists of `batch` of them.

    Args:
        files: The photographs.
        view: Called in a worker; see `work` of `in_order`.
        workers: Worker processes; 0 for none.
        batch: Photographs that a worker reads in one go.
        damaged: `skip` gives None for a photograph that cannot be read, and names it on stderr.

    Raises:
        Damaged: One that cannot be read, under `fail`.
    """
    damages = Damages(damaged)
    parts = (files[start : start + batch] for start in range(0, len(files), batch))
    with closing(in_order(_Read(view), parts, workers)) as read:
        for views in read:
            for one in views:
                if isinstance(one, Damaged):
                    damages.met(one)
            yield [None if isinstance(one, Damaged) else one for one in views]


class _Read:
    """Files -> what `view` makes of each, or what is wrong with it."""

    def __init__(self, view: Callable[[Tensor], T]) -> None:
        self.view = view

    def __call__(self, files: Sequence[Path | str]) -> list[T | Damaged]:
        return [self._one(file) for file in files]

    def _one(self, file: Path | str) -> T | Damaged:
        try:
            return self.view(read_photograph(file))
        except Damaged as error:
            return error


class _Work(Dataset):
    """DataLoader's word for it: a data set whose items are numbered by specs."""

    def __init__(self, work: Callable[[S], T]) -> None:
        self.work = work

    def __getitem__(self, spec: S) -> T:
        return self.work(spec)


def _as_it_is(item: Any) -> Any:
    return item


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Workers begin without the signals that their parent has handlers for, so that they never run those."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C and SIGTERM often reach all processes of a run, which may need its workers until it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_with_the_parents_sigterm, args=(os.getppid(),), daemon=True).start()
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end_with_the_parents_sigterm(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
