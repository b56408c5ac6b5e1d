"""What to ask of a Slurm cluster: the `cluster` part of a grid file, or a file of its own.

partition: gpu            # and account, qos, constraint: as sbatch has them; all keys may be left out
gres: gpu:a100            # what a GPU is called; null where there are none
cpus: 8                   # cores for each GPU, or for each run without GPUs
mem: 64G                  # memory of each node
hours: 12                 # the most that a job asks for; a longer run goes on in its next turn; none if left out
parallel: 20              # jobs at a time, shared out where runs need different times or devices
runs_per_job: 8           # runs that share a job, one after the other ...
runs_per_gpu: 2           # ... or so many side by side on its GPU
setup: [module load cuda] # lines of the job's script before the runs
options: {nice: 100}      # what else sbatch takes, without its dashes; null for one without a value
"""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.files import read_yaml

# Options that the launcher writes itself: another value would lose runs.
OWN = (
    "array",
    "chdir",
    "comment",
    "cpus-per-task",
    "error",
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gres",
    "job-name",
    "no-requeue",
    "nodes",
    "ntasks",
    "ntasks-per-node",
    "open-mode",
    "output",
    "requeue",
    "signal",
    "time",
    "wrap",
)

LEAST_HOURS = 0.1  # a shorter job would end before Slurm's warning helps


@dataclass(frozen=True)
class Cluster:
    """Settings of the jobs; None leaves it to the cluster's own defaults.

    Args:
        partition, account, qos, constraint, mem: As sbatch has them; `mem` is that of each node.
        gres: The name of one GPU; None where the partition has none, or for runs on CPUs.
        cpus: Cores for each process.
        hours: The most time that a job asks for; None: it asks for no time, and gets the partition's limit.
        parallel: Jobs at a time.
        runs_per_job: Runs of one device that share a job.
        runs_per_gpu: How many of them train side by side.
        setup: Lines of the script before the runs are started.
        python: The interpreter of the jobs; None: the one that launches.
        options: Other options of sbatch.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = "gpu"
    cpus: int = 4
    mem: str | None = None
    hours: float | None = None
    parallel: int | None = None
    runs_per_job: int = 1
    runs_per_gpu: int = 1
    setup: tuple[str, ...] = ()
    python: str | None = None
    options: dict[str, str] = field(default_factory=dict)


KEYS = tuple(f.name for f in fields(Cluster))
WORDS = ("partition", "account", "qos", "constraint", "gres", "mem", "python")
COUNTS = ("cpus", "parallel", "runs_per_job", "runs_per_gpu")


def read(path: Path) -> Cluster:
    """The settings in a file.

    Raises:
        InputError: It is no YAML mapping, or something in it is wrong.
    """
    return parse(read_yaml(path), str(path))


def parse(content: dict[str, Any], where: str) -> Cluster:
    """The settings in a mapping that stands in `where`.

    Raises:
        InputError: The first key or value that is wrong, and what to write instead.
    """
    values = dict(content)
    for key, value in content.items():
        if key not in KEYS:
            raise InputError(f"{where}: unknown key {key}{did_you_mean(str(key), KEYS)} (known: {', '.join(KEYS)})")
        if key in WORDS and not (value is None or (isinstance(value, str | int) and re.fullmatch(r"\S+", str(value)))):
            raise InputError(f"{where}: {key} is {value!r}: write one word, as sbatch takes it")
        if key in COUNTS and not ((type(value) is int and value > 0) or (value is None and key == "parallel")):
            raise InputError(f"{where}: {key} is {value!r}: write a whole number from 1")
        if key in WORDS and value is not None:
            values[key] = str(value)
    hours = values.get("hours")
    if hours is not None and not (type(hours) in (int, float) and LEAST_HOURS <= hours < 10_000):
        raise InputError(f"{where}: hours is {hours!r}: write a number of hours from {LEAST_HOURS}, such as 12")
    if values.get("gres") and re.search(r":\d+$", values["gres"]):
        raise InputError(f"{where}: gres is {values['gres']}: write its name without a number, such as gpu:a100")
    setup = values.get("setup") or []
    if not isinstance(setup, list) or not all(isinstance(line, str) for line in setup):
        raise InputError(f"{where}: setup is {setup!r}: write a list of lines, such as [module load cuda]")
    options = values.get("options") or {}
    if not isinstance(options, dict) or not all(
        re.fullmatch(r"[a-z][a-z0-9-]*", str(key)) and re.fullmatch(r"[^\n]*", str(value)) and value is not False
        for key, value in options.items()
    ):
        raise InputError(f"{where}: options is {options!r}: write a mapping of sbatch's options, such as {{nice: 100}}")
    for key in options:
        if key in OWN or key in KEYS:
            instead = (
                f"write it as {key}, beside options" if key in KEYS else "the launcher writes it itself; leave it out"
            )
            raise InputError(f"{where}: options.{key}: {instead}")
    words = {
        key: "" if value is None or value is True else str(value) for key, value in options.items()
    }  # such as exclusive
    cluster = Cluster(**values | {"setup": tuple(setup), "options": words})
    if cluster.runs_per_gpu > cluster.runs_per_job:
        raise InputError(
            f"{where}: runs_per_gpu is {cluster.runs_per_gpu}, but a job has {cluster.runs_per_job} runs: write a "
            "runs_per_job of as many or more"
        )
    return cluster
