"""Slurm's commands sbatch, squeue, scancel and scontrol, and the runs that its jobs have."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lit_resnet.errors import InputError, shown
from lit_resnet.grid.cluster import Cluster
from lit_resnet.grid.status import Queued

PREFIX = r"^\w+: (?:error|fatal): (?:Batch job submission failed: )?"  # of a message on stderr
MOST_TASKS = 1000  # in an array, where the cluster names no limit


class Refused(InputError):
    """A command of Slurm fails; `words` is what it says, in one line."""

    def __init__(self, command: str, words: str) -> None:
        super().__init__(f"{command} refuses: {words}")
        self.words = words


def job_name(grid: str) -> str:
    """The name by which squeue finds the jobs of a grid; sbatch and squeue split theirs at spaces and commas."""
    return re.sub(r"[^\w.+=-]", "_", f"lit-resnet-{grid}", flags=re.ASCII)


def headers(cluster: Cluster, own: dict[str, object], gpus: int) -> list[str]:
    """The lines of a script by which sbatch knows what a job needs.

    Args:
        cluster: The user's settings.
        own: Options of the job, without their dashes; those that are None are left out.
        gpus: GPUs of each node, where the cluster has any.
    """
    options = {
        **own,
        **{key: getattr(cluster, key) for key in ("partition", "account", "qos", "constraint", "mem")},
        "cpus-per-task": cluster.cpus,
        "gres": f"{cluster.gres}:{gpus}" if cluster.gres and gpus else None,
        **cluster.options,
    }
    return [f"#SBATCH --{key}{value and f'={value}'}" for key, value in options.items() if value is not None]


def pattern(folder: Path) -> str:
    """A folder's path as the option `output` has it.

    Raises:
        InputError: It has a letter that would end the line of the script.
    """
    path = str(folder.resolve())
    if not path.isprintable():
        raise InputError(f"--root {shown(path)}: has a line break or another letter that no script can name")
    return path.replace("%", "%%")


def queue(root: Path, grids: Iterable[str]) -> dict[tuple[str, str], Queued]:
    """Slurm's jobs of some grids under `root`, by the names of grid and run folder.

    Empty where there is no Slurm, or nothing was submitted.

    Raises:
        InputError: squeue fails.
    """
    grids = [name for name in grids if (root / name / "slurm").is_dir()]
    if not grids or not shutil.which("squeue"):
        return {}
    names = ",".join(map(job_name, grids))
    listed = ask(["squeue", "--noheader", "--array", f"--name={names}", "--format=%i|%T|%N|%r|%o"]).stdout
    found: dict[tuple[str, str], Queued] = {}
    tasks: dict[Path, list[str]] = {}  # of each array: the runs of its tasks
    for line in listed.splitlines():
        number, state, node, reason, script = line.split("|", 4)
        folder = Path(script).parent  # <root>/<grid>/slurm/<when>
        if folder.parent.parent.parent != root.resolve():
            continue
        if folder not in tasks:
            cells = folder / "cells.txt"
            tasks[folder] = cells.read_text(encoding="utf-8").splitlines() if cells.is_file() else []
        index = number.partition("_")[2]
        if index.isdigit() and int(index) < len(tasks[folder]):
            note = state.lower() + (f" ({reason})" if reason != "None" else "")
            for cell in tasks[folder][int(index)].split():
                found[folder.parent.parent.name, cell] = Queued(number, state == "RUNNING", node, note)
    return found


def queue_of(grid: str, root: Path) -> dict[str, Queued]:
    """Slurm's jobs of one grid, by the names of its run folders."""
    return {folder: job for (_, folder), job in queue(root, [grid]).items()}


def most_tasks() -> int:
    """The most tasks that an array may have here."""
    if not shutil.which("scontrol"):
        return MOST_TASKS
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", ask(["scontrol", "show", "config"]).stdout)
    return int(found[1]) - 1 if found and int(found[1]) > 1 else MOST_TASKS


def sbatch(script: Path) -> str:
    """Submit a script; returns the job's id."""
    return ask(["sbatch", "--parsable", str(script.resolve())]).stdout.strip().partition(";")[0]


def state(job: str) -> str:
    """How a job stands in the queue, such as `PENDING (Priority)`; empty where it is not there any more."""
    try:
        found = ask(["squeue", "--noheader", f"--jobs={job}", "--format=%T|%r"]).stdout.strip()
    except InputError:  # Slurm has forgotten it
        return ""
    word, _, reason = found.partition("|")
    return f"{word} ({reason})" if reason not in ("", "None") else word


def scancel(ids: list[str]) -> None:
    """Cancel jobs; their runs save where they are."""
    for start in range(0, len(ids), 500):  # the length of a command line is limited
        ask(["scancel", *ids[start : start + 500]])


def release(ids: list[str]) -> None:
    """Let jobs start that Slurm holds back."""
    ask(["scontrol", "release", *ids])


def ask(command: list[str], script: str | None = None) -> subprocess.CompletedProcess[str]:
    """What a command of Slurm says, in English; a script is what it reads.

    Raises:
        Refused: It fails.
    """
    done = subprocess.run(command, input=script, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    if done.returncode:
        lines = [re.sub(PREFIX, "", line) for line in done.stderr.splitlines()]
        raise Refused(command[0], "; ".join(filter(None, lines)) or f"exit code {done.returncode}")
    return done
