"""Work on files by worker processes: results come back in order, and are computed some way ahead."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lit_resnet.data.photographs import Damaged, read_photograph

S = TypeVar("S")
T = TypeVar("T")
Policy = Literal["fail", "skip"]  # about damaged files

AHEAD = 2  # results of each worker that are computed before they are asked for
MOST_WORKERS = 16  # for one device: they decode more images than a GPU can train on


def default_workers(devices: int = 1) -> int:
    """Worker processes for each of the devices of this machine that train: the cores of this process, shared out.

    At most `MOST_WORKERS`. With a single core 0, no processes: they would only take turns with this one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if cores == 1 else min(max(1, cores // devices), MOST_WORKERS)


def in_order(
    work: Callable[[S], T], specs: Iterable[S], workers: int, pin_memory: bool = False
) -> Generator[T, None, None]:
    """`work(spec)` for each of the specs, which may be endless, in their order; some are computed ahead, from now on.

    Close the iterator, or exhaust it: if it is left to the garbage collector, its workers take 5 s to end.

    Args:
        work: A function or object that can be pickled. Tensors that it returns come through shared memory; each takes a
            file descriptor for as long as it lives.
        specs: Arguments of `work`. They are taken from the iterable in this process.
        workers: Processes of one thread each; with 0 this process does the work, when it is asked for a result.
        pin_memory: Put the tensors into pinned memory, from which a GPU copies by itself.
    """
    loader = DataLoader(
        _Work(work),
        sampler=specs,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        generator=torch.Generator(),  # no work uses its seed; but torch's global generator must not advance
        pin_memory=pin_memory,
    )
    return _ending_with_its_reader(begin(loader))


def _ending_with_its_reader(items: Iterator[T]) -> Generator[T, None, None]:
    try:
        yield from items
    finally:
        del items  # ends the workers


def begin(loader: Iterable[T]) -> Iterator[T]:
    """Iterate over a loader; the worker processes of a DataLoader leave Ctrl-C and SIGTERM to this process."""
    if isinstance(loader, DataLoader) and loader.num_workers and not isinstance(loader.worker_init_fn, _Init):
        loader.worker_init_fn = _Init(loader.worker_init_fn)
        # Python's default may import torch again in each worker. macOS cannot fork a process that has threads.
        if loader.multiprocessing_context is None and sys.platform == "linux":
            loader.multiprocessing_context = "fork"
    with _blocked_signals():
        return iter(loader)


class Damages:
    """The damaged files that were met. Under `fail` the first is an error, under `skip` each is named once on stderr.

    `named` has the paths of those that were skipped.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy, self.named = policy, set[str]()

    def met(self, damaged: Damaged) -> None:
        """Skip a damaged file, and name it if it was not named before.

        Raises:
            Damaged: The policy is `fail`.
        """
        if self.policy == "fail":
            raise damaged
        if str(damaged.path) not in self.named:
            self.named.add(str(damaged.path))
            print(f"skipped: {damaged}", file=sys.stderr)


def read_in_order(
    files: Sequence[Path | str], view: Callable[[Tensor], T], workers: int, batch: int, damaged: Policy = "fail"
) -> Iterator[list[T | None]]:
    """`view(photograph)` for each file, in lists of `batch`, in the order of the files.

    Args:
        files: The photographs.
        view: Takes a photograph, uint8 [3, H, W], in a worker; see `work` of `in_order`.
        workers: Worker processes; 0 for none.
        batch: Photographs that a worker reads at a time.
        damaged: `skip` gives None for a photograph that cannot be read, and names it on stderr.

    Raises:
        Damaged: A photograph cannot be read, and the policy is `fail`.
    """
    damages = Damages(damaged)
    parts = (files[start : start + batch] for start in range(0, len(files), batch))
    with closing(in_order(_Read(view), parts, workers)) as read:
        for views in read:
            for one in views:
                if isinstance(one, Damaged):
                    damages.met(one)
            yield [None if isinstance(one, Damaged) else one for one in views]


class _Read(Generic[T]):
    """The work of a worker: `view(photograph)` for each of some files, or the error of one that cannot be read."""

    def __init__(self, view: Callable[[Tensor], T]) -> None:
        self.view = view

    def __call__(self, files: Sequence[Path | str]) -> list[T | Damaged]:
        return [self._one(file) for file in files]

    def _one(self, file: Path | str) -> T | Damaged:
        try:
            return self.view(read_photograph(file))
        except Damaged as error:
            return error


class _Work(Dataset[T], Generic[S, T]):
    """Work in the form that DataLoader takes: a `Dataset` whose "indices" are the specs."""

    def __init__(self, work: Callable[[S], T]) -> None:
        self.work = work

    def __getitem__(self, spec: S) -> T:
        return self.work(spec)


def _as_it_is(item: Any) -> Any:
    return item


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block these signals while workers start, so that a worker never runs the signal handlers of its parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Init:
    """What a worker does first: it leaves signals to its parent, then does what the loader's owner wants."""

    def __init__(self, own: Callable[[int], None] | None) -> None:
        self.own = own
        self.parent = os.getpid()  # which need not be what forks the worker

    def __call__(self, worker: int) -> None:
        _leave_signals_to(self.parent)
        if self.own:
            self.own(worker)


def _leave_signals_to(parent: int) -> None:
    """Ignore Ctrl-C and SIGTERM in a worker: they often reach all processes, but the run needs it until it has saved.

    A SIGTERM that the parent itself sends does end the worker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_with_the_parents_sigterm, args=(parent,), daemon=True).start()
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end_with_the_parents_sigterm(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
