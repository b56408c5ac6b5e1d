"""Slurm: its partitions and GPUs, and whether it would take a job with the cluster's settings."""

import os
import re
import shutil

from lit_resnet.doctor.finding import Finding, Site, advice, ok, unknown, wrong
from lit_resnet.doctor.sent import headers
from lit_resnet.launch.jobs import Refused, ask

MOST_PARTITIONS = 6  # in a line


def look(site: Site) -> list[Finding]:
    """One finding about partitions and one about a job; inside a job, its number."""
    if job := os.environ.get("SLURM_JOB_ID"):
        return [ok(f"this is job {job} on {os.environ.get('SLURMD_NODENAME', 'a node')}")]
    if not shutil.which("sbatch"):
        return [unknown("Slurm: there is no sbatch here; on a cluster, ask from its login node")]
    try:
        listed = ask(["sinfo", "--noheader", "--format=%P|%D|%G|%l|%a"]).stdout
    except Refused as error:
        todo = "ask whoever looks after the cluster; where there is none, leave --on slurm out"
        return [advice(f"Slurm is installed, but does not answer: {error.words}", todo)]
    return [partitions(listed), job_would_start(site)]


def partitions(listed: str) -> Finding:
    """The partitions with their GPUs and their limits of time, from what sinfo has listed."""
    rows = [line.split("|") for line in listed.splitlines() if line.count("|") == 4]
    words = [
        f"{name} ({nodes} nodes, {_gpus(gres)}, up to {limit})" for name, nodes, gres, limit, up in rows if up == "up"
    ]
    more = f", and {len(words) - MOST_PARTITIONS} more" if len(words) > MOST_PARTITIONS else ""
    if not words:
        return wrong("Slurm has no partition that is up", "wait, or ask whoever looks after the cluster")
    return ok(f"Slurm's partitions (* is the default): {', '.join(words[:MOST_PARTITIONS])}{more}")


def job_would_start(site: Site) -> Finding:
    """What `sbatch --test-only` says of a job with the cluster's settings."""
    script = "\n".join(["#!/bin/bash", *headers(site.cluster), "true"]) + "\n"
    try:
        said = ask(["sbatch", "--test-only"], script).stderr
    except Refused as error:
        return wrong(
            f"Slurm would not take a job: {error.words}",
            "write partition, account, gres, ... into a cluster file, and give it by --cluster",
        )
    when = re.search(r"to start at (\S+) using .*? nodes? (\S+)", said)
    return ok("a job would start" + (f" at {when[1]} on {when[2]}" if when else ""))


def _gpus(gres: str) -> str:
    """`gpu:a100:8` as sinfo has it, without the sockets in parentheses."""
    return "no GPUs" if gres in ("(null)", "") else re.sub(r"[(].*?[)]", "", gres)
