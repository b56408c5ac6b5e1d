"""Two processes that train one run together (DDP over gloo), as the command line starts them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lit_resnet.runfolder.folder import RunFolder

PATIENCE = 200  # seconds, of which a run takes 15


def train_together(content: dict[str, Any], folder: Path) -> RunFolder:
    """A run of `content` by two processes, in a new folder below `folder`. If it hangs, where each of them is, is told.

    What was printed must end with one line that the run is done: the second process says nothing of its end.
    """
    content["trainer"] |= {"devices": 2, "strategy": "ddp"}
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    run = RunFolder(folder / "run")
    command = [sys.executable, "-X", "faulthandler", "-m", "lit_resnet", "fit", "--config", str(folder / "config.yaml")]
    command += ["--trainer.default_root_dir", str(run.path)]
    with (folder / "printed.txt").open("w") as printed:  # a process that is left over could keep a pipe open
        both = subprocess.Popen(command, stdout=printed, stderr=printed, start_new_session=True)
        try:
            both.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(both.pid, signal.SIGABRT)  # each writes its stacks
            both.wait()
    said = (folder / "printed.txt").read_text()
    assert both.returncode == 0, said
    assert said.count(f"{run.path}: ") == said.count(f"{run.path}: done, ") == 1, said
    return run
