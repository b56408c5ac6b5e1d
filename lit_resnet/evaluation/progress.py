"""Progress of a pass over the images, on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from lit_resnet.listing import redraws

LOG_SECONDS = 60  # between lines in a log file


class Speed(ProgressColumn):
    """Recent throughput."""

    def render(self, task: Task) -> Text:
        """Images per second as text; empty while it is unknown."""
        return Text(f"{task.speed:,.1f} images/s" if task.speed else "")


@contextmanager
def progress(words: str, total: int, completed: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with images/s, the time left, and `words` that say what is being done; in a log file, a line a minute.

    Yields a function: call it with the number of images that were done since the last call.
    """
    console = Console(stderr=True)
    bar = Progress(
        *(TextColumn("images"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), Speed()),
        TextColumn("{task.description}"),
        console=console,
        disable=not redraws(console),
    )
    task = bar.add_task(words, total=total, completed=completed)
    logged, since = time.monotonic(), 0

    def advance(images: int) -> None:
        nonlocal logged, since
        bar.advance(task, images)
        since += images
        seconds = time.monotonic() - logged
        if bar.disable and seconds > LOG_SECONDS:
            done = int(bar.tasks[0].completed)
            print(f"image {done}/{total}: {since / seconds:,.1f} images/s, {words}", file=sys.stderr)
            logged, since = time.monotonic(), 0

    with bar:
        yield advance
