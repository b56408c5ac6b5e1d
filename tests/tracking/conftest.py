"""A stand-in server, and commands that use it as a user would, in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_server import Server

# The process beside a launch, with the waits of the client shortened, and those between two looks: a first look that
# takes half a second, as it loads the client, would be followed by a wait of 25 s. The client takes an interval below a
# second for none, and sends every 15 s.
BESIDE = """
from lit_resnet.tracking import follow, session
follow.LOOK_SECONDS, follow.SHARE = 0.1, 1.0
session.INIT_TIMEOUT = session.FINISH_TIMEOUT = 3.0
settings = session.Session._settings
session.Session._settings = lambda self: settings(self).model_copy(update={"x_file_stream_transmit_interval": 1.0})
follow.main()
"""


class Lines:
    """Commands in the environment of somebody who is logged in at `server`, and has an empty home folder."""

    def __init__(self, server: Server, home: Path) -> None:
        home.mkdir()
        keep = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        self.env = keep | server.env | {"HOME": str(home)}

    def run(self, *args: str | Path, **env: str) -> subprocess.CompletedProcess:
        """`lit-resnet` with these arguments, to its end."""
        command = [sys.executable, "-m", "lit_resnet", *map(str, args)]
        return subprocess.run(command, env=self.env | env, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def start(self, *args: str | Path, **env: str) -> subprocess.Popen:
        """The same, at work."""
        command = [sys.executable, "-m", "lit_resnet", *map(str, args)]
        return subprocess.Popen(
            command,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def follow(self, grid: str, root: Path, *cells: str, **env: str) -> subprocess.Popen:
        """The process beside a launch; it ends after its stdin does."""
        return subprocess.Popen(
            [sys.executable, "-c", BESIDE, grid, "--root", str(root), *cells],
            env=self.env | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def wandb_server() -> Iterator[Server]:
    with Server() as server:
        yield server
        assert server.unknown == []


@pytest.fixture
def lines(wandb_server: Server, tmp_path: Path) -> Iterator[Lines]:
    yield Lines(wandb_server, tmp_path / "home")
    told = [file for file in tmp_path.rglob("*") if file.is_file() and wandb_server.key.encode() in file.read_bytes()]
    assert told == [], "the key is written nowhere"
