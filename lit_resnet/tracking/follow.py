"""The process beside a launch: looks at run folders, and tells W&B what is new in them.

::

    python -m lit_resnet.tracking.follow GRID CELL... --root DIR [--set KEY=VALUE] [--seeds N ...]

CELL is the name of a run folder; these are the words of `Asked.words`. It ends when its stdin does, after a last look.
It prints lines for the user to stdout; on stderr are those of W&B's client.
"""

import argparse
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lit_resnet.errors import InputError, Unreachable
from lit_resnet.files import clock
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.tracking import session
from lit_resnet.tracking.mirror import Mirror, tell_ensemble
from lit_resnet.tracking.session import Session

LOOK_SECONDS = 2.0
SHARE = 0.02  # of its time, which the process may spend looking: there may be thousands of folders


def main() -> None:
    """Follow the runs of some cells."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):  # meant for the launch, which then ends this process
        signal.signal(number, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="python -m lit_resnet.tracking.follow")
    parser.add_argument("grid")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    parser.add_argument("cells", nargs="+")
    args = parser.parse_args()
    asked = Asked(args.grid, tuple(args.set), args.root, tuple(args.seeds))
    later = f"later: {asked.command('wandb sync')}"
    try:
        mode = session.wanted()
    except Unreachable as error:
        mode = "offline"
        print(f"W&B: {error}; its files are in the run folders; {later}", flush=True)
    else:
        if mode == "offline":
            print(f"W&B: offline, its files are in the run folders; {later}", flush=True)
    if mode != "disabled":
        reached = Session(mode == "online", asked.home / "wandb", session.FINISH_TIMEOUT)
        Follower(asked, args.cells, reached, later).follow()


class Follower:
    """Keeps the mirrors of a launch's runs, some of which may be done before this process has begun."""

    def __init__(self, asked: Asked, cells: list[str], reached: Session, later: str) -> None:
        self.asked, self.session, self.later = asked, reached, later
        wanted = set(cells)
        self.mirrors = [Mirror(asked, cell, reached) for cell in asked.grid.cells if cell.folder in wanted]

    def follow(self) -> None:
        """Look until stdin ends, and once more."""
        pause = 0.0
        while not select.select([sys.stdin], [], [], pause)[0]:
            began = time.monotonic()
            self._look()
            pause = max(LOOK_SECONDS, (time.monotonic() - began) / SHARE)
        self._look()
        for mirror in list(self.mirrors):
            self._tell(mirror, mirror.leave)
        for ensemble in self.asked.grid.ensembles:
            try:
                tell_ensemble(self.asked, ensemble, self.session)
            except (Unreachable, InputError, OSError) as error:
                self._say(f"the ensemble {ensemble.name} is left out: {error}")

    def _look(self) -> None:
        now = clock(self.asked.root)
        for mirror in list(self.mirrors):
            cell = mirror.cell
            try:
                state = status.row(mirror.folder, cell.name, cell.seed, now)["state"]
            except (InputError, OSError):  # the launch reports it
                continue
            self._tell(mirror, lambda mirror=mirror, state=state: mirror.look(state))
            if mirror.told and state == "done":
                self.mirrors.remove(mirror)

    def _tell(self, mirror: Mirror, what: Callable[[], None]) -> None:
        """Let a mirror tell W&B something; print what goes wrong, and go on."""
        try:
            what()
        except Unreachable as error:
            if self.session.online:
                self._say(f"{error}; from here on its files are in the run folders")
                self.session.give_up()
                for other in self.mirrors:
                    other.drop()
                self._tell(mirror, what)
            else:
                self._leave_out(mirror, error)
        except (InputError, OSError) as error:
            self._leave_out(mirror, error)

    def _leave_out(self, mirror: Mirror, error: Exception) -> None:
        self.mirrors.remove(mirror)
        self._say(f"{mirror.folder.path.name} is left out: {error}")

    def _say(self, text: str) -> None:
        print(f"W&B: {text}; {self.later}", flush=True)


if __name__ == "__main__":
    main()
