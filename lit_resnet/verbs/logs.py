"""`lit-resnet logs`: what runs of a grid have printed."""

import argparse
import os
import time
from collections import deque
from collections.abc import Iterator

from lit_resnet.errors import InputError, printable
from lit_resnet.files import open_file
from lit_resnet.verbs import options

LOOK_SECONDS = 0.5  # between two looks at the files


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser)
    options.cells(parser, "+", "")
    parser.add_argument("--lines", type=int, metavar="N", help="only the last N lines of each run (default: all)")
    parser.add_argument("--follow", action="store_true", help="keep printing new lines until the runs have ended")
    parser.description = "Prints the log.txt of run folders; of several runs each line begins with the run."


def run(args: argparse.Namespace) -> int:
    """Print the logs once, or with --follow until all runs have ended."""
    from lit_resnet.files import clock
    from lit_resnet.grid import status
    from lit_resnet.launch.watch import ENDED

    if args.lines is not None and args.lines < 0:
        raise InputError(f"--lines is {args.lines}: write 0 or more")
    asked = options.asked(args)
    cells = asked.grid.chosen(args.cells)
    folders = [asked.folder(cell) for cell in cells]
    if not args.follow and not any(folder.log_file.is_file() for folder in folders):
        raise InputError(f"{folders[0].log_file}: not there; a launched run makes it when it begins")
    logs = [_Log(str(folder.log_file)) for folder in folders]
    names = [f"{cell.folder}: " if len(cells) > 1 else "" for cell in cells]
    for name, log in zip(names, logs, strict=True):
        for line in deque(log.lines(), args.lines):
            print(name + line)
    while args.follow:
        now = clock(asked.root)
        rows = [status.row(folder, cell.name, cell.seed, now) for folder, cell in zip(folders, cells, strict=True)]
        for name, log in zip(names, logs, strict=True):  # after the look at their states: nothing is missed at the end
            for line in log.lines():
                print(name + line, flush=True)
        if all(row["state"] in ENDED for row in rows):
            break
        time.sleep(LOOK_SECONDS)
    return 0


class _Log:
    """A file that grows by lines."""

    def __init__(self, path: str) -> None:
        self.path, self.read = path, 0

    def lines(self) -> Iterator[str]:
        """The whole lines that were added since the last call; all from the start where it was replaced by another."""
        try:
            with open_file(self.path) as file:
                if os.fstat(file.fileno()).st_size < self.read:
                    self.read = 0
                file.seek(self.read)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self.read += len(line)
                    yield printable(line.decode(errors="replace").rstrip("\r\n"))
        except OSError:  # the run has not begun
            return
