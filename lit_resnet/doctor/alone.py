"""Functions in processes of their own, which may crash, hang or be killed without harm to this one."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from lit_resnet.launch.pool import CONTEXT

TAIL_BYTES, LEAVE_SECONDS = 2000, 5.0


class Broken(Exception):
    """The function gave no answer; the text says what became of it, in one line."""


def alone(function: Callable, *args: Any, seconds: float) -> Any:
    """What `function(*args)` returns, called in a process of its own; see `together`."""
    return together(function, [args], seconds)[0]


def together(function: Callable, calls: Sequence[tuple], seconds: float) -> list[Any]:
    """What `function` returns for each of some arguments, in processes that run at the same time.

    They are forked from the server of `launch.pool`. They end when the time is over or when this process ends, and so
    do processes that they have started this way.

    Args:
        function: May be pickled, as its arguments and its result.
        calls: The arguments of each call.
        seconds: How long they may take.

    Raises:
        Broken: One has raised an error, died, or not answered in time.
    """
    end = time.monotonic() + seconds
    with ExitStack() as stack:
        begun = [stack.enter_context(_process(function, args)) for args in calls]
        return [_answer(*process, end, seconds) for process in begun]


@contextmanager
def _process(function: Callable, args: tuple) -> Iterator[tuple[BaseProcess, Connection, Path]]:
    """A process that calls the function, the pipe of its answer, and the file with what it prints."""
    answer, sender = CONTEXT.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="lit-resnet-doctor-") as said:
        process = CONTEXT.Process(target=_work, args=(sender, said.name, function, args))
        process.start()
        sender.close()
        try:
            yield process, answer, Path(said.name)
        except BaseException:
            process.terminate()  # it removes what it has made, and ends its own processes
            raise
        finally:
            process.join(LEAVE_SECONDS)
            process.kill()
            process.join()


def _answer(process: BaseProcess, answer: Connection, said: Path, end: float, seconds: float) -> Any:
    try:
        if not answer.poll(max(0.0, end - time.monotonic())):
            raise Broken(f"no answer after {seconds:g} s")
        fine, found = answer.recv()
    except EOFError:
        process.join(5)
        raise Broken(f"its process {_ended(process.exitcode)}{_last_line(said)}") from None
    if not fine:
        raise Broken(found)
    return found


def _work(sender: Connection, said: str, function: Callable, args: tuple) -> None:
    with open(said, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        found = True, function(*args)
    except BaseException as error:
        found = False, " ".join(f"{type(error).__name__}: {error}".split())[:TAIL_BYTES]
    with suppress(OSError):
        sender.send(found)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(1)  # through all contexts, which remove their files


def _end_with_the_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LEAVE_SECONDS)
    os._exit(1)


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _last_line(file: Path) -> str:
    lines = file.read_bytes()[-TAIL_BYTES:].decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {said}" if said else ""
