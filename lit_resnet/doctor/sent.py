"""The doctor on another machine: a Slurm job with the cluster's settings, whose findings come back in a file.

<root>/doctor-<when>/
  seen           a word; the node must see it
  job.sh         the script
  findings.json  what the node has found; this machine must see it
  printed.txt    what the job printed besides
"""

import json
import os
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from lit_resnet.doctor.disk import SEEN_SECONDS, TOKEN
from lit_resnet.doctor.finding import Finding, advice, ok
from lit_resnet.errors import Failure, InputError
from lit_resnet.files import read_file, write_whole
from lit_resnet.grid.cluster import Cluster
from lit_resnet.launch import jobs

MINUTES = 10
UNSEEN_SECONDS = 60.0  # for which some file systems do not show what another machine has written
LOOK_SECONDS = 1.0
NAME, FILE = "lit-resnet-doctor", "findings.json"


def headers(cluster: Cluster) -> list[str]:
    """The lines of a script for one task, with one GPU where the cluster has them."""
    return jobs.headers(cluster, {"job-name": NAME, "time": f"0:{MINUTES}:00", "nodes": 1, "ntasks": 1}, gpus=1)


def examine(
    root: Path, cluster: Cluster, names: Sequence[str], cluster_file: Path | None, say: Callable[[str], None]
) -> Iterator[tuple[str, Finding]]:
    """Send the doctor to a node, wait for it, and yield the names of its checks and what they found.

    Raises:
        InputError: There is no Slurm here, or it refuses.
        Failure: The job has ended without findings.
    """
    if not shutil.which("sbatch"):
        raise InputError("--on slurm: no sbatch on this machine; use a login node of the cluster, or leave out --on")
    folder = root.absolute() / f"doctor-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    token = secrets.token_hex(8)
    write_whole(folder / TOKEN, token)
    words = [cluster.python or sys.executable, "-m", "lit_resnet", "doctor", "--root", str(folder), "--format", "json"]
    words += [
        "--token",
        token,
        *(["--only", *names] if names else []),
        *(["--cluster", str(cluster_file.absolute())] if cluster_file else []),
    ]
    script = [
        "#!/bin/bash",
        *headers(cluster),
        f'#SBATCH --output="{jobs.pattern(folder)}/printed.txt"',
        f"cd {shlex.quote(str(Path.cwd()))} || exit",
        *cluster.setup,
        f"{shlex.join(words)} > {shlex.quote(str(folder / '.part'))}",
        f"[ -s {shlex.quote(str(folder / '.part'))} ] && mv {shlex.join([str(folder / '.part'), str(folder / FILE)])}",
    ]
    write_whole(folder / "job.sh", "\n".join(script) + "\n")
    try:
        job = jobs.sbatch(folder / "job.sh")
    except InputError:
        shutil.rmtree(folder)
        raise
    print(f"job {job} ({folder / 'job.sh'}): waiting for a node", file=sys.stderr)
    try:
        found, seconds = _wait(folder, job, say)
    except BaseException:  # Ctrl-C: nobody wants its findings
        with suppress(InputError):  # it has ended
            jobs.scancel([job])
        raise
    yield from found
    here = os.uname().nodename
    if seconds > SEEN_SECONDS:
        yield "disk", advice(f"a file of the node was seen on {here} only after {seconds:.0f} s", "give another --root")
    else:
        yield "disk", ok(f"a file of the node is seen on {here}, which submitted the job")
    shutil.rmtree(folder, ignore_errors=True)


def _wait(folder: Path, job: str, say: Callable[[str], None]) -> tuple[list[tuple[str, Finding]], float]:
    """The job's findings, and the seconds for which they were not seen here after the job had ended."""
    file, ended = folder / FILE, None
    while True:
        if file.exists():
            try:
                found = [(row.pop("check"), Finding(**row)) for row in json.loads(read_file(file))]
            except (ValueError, TypeError, KeyError, AttributeError):
                raise Failure(f"{file}: is no list of findings: see {folder / 'printed.txt'}") from None
            return found, time.monotonic() - (ended or time.monotonic())
        if state := jobs.state(job):
            say(f"job {job}: {state.lower()}")
        else:
            ended = ended or time.monotonic()
            if time.monotonic() - ended > UNSEEN_SECONDS:
                raise Failure(f"job {job} has ended without findings: see {folder}, and its node's log")
        time.sleep(LOOK_SECONDS)
