"""Slurm: its partitions and GPUs, and whether it would take a job with the cluster's settings."""

import os
import re
import shutil
import subprocess

from lit_resnet.doctor.finding import Finding, Site, advice, ok, unknown, wrong
from lit_resnet.doctor.sent import headers

SECONDS = 20
MOST_PARTITIONS = 6  # in a line


def look(site: Site) -> list[Finding]:
    """One finding about partitions and one about a job; inside a job, its number."""
    if job := os.environ.get("SLURM_JOB_ID"):
        return [ok(f"this is job {job} on {os.environ.get('SLURMD_NODENAME', 'a node')}")]
    if not shutil.which("sbatch"):
        return [unknown("Slurm: there is no sbatch here; on a cluster, ask from its login node")]
    done = _run(["sinfo", "--noheader", "--format=%P|%D|%G|%l|%a"])
    if done.returncode:
        todo = "ask whoever looks after the cluster; where there is none, leave --on slurm out"
        return [advice(f"Slurm is installed, but does not answer: {_words(done)}", todo)]
    return [partitions(done.stdout), job_would_start(site)]


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
    done = _run(["sbatch", "--test-only"], "\n".join(["#!/bin/bash", *headers(site.cluster), "true"]) + "\n")
    if done.returncode:
        return wrong(
            f"Slurm would not take a job: {_words(done)}",
            "write partition, account, gres, ... into a cluster file, and give it by --cluster",
        )
    when = re.search(r"to start at (\S+) using .*? nodes? (\S+)", done.stderr)
    return ok("a job would start" + (f" at {when[1]} on {when[2]}" if when else ""))


def _gpus(gres: str) -> str:
    """`gpu:a100:8` as sinfo has it, without the sockets in parentheses."""
    return "no GPUs" if gres in ("(null)", "") else re.sub(r"[(].*?[)]", "", gres)


def _run(command: list[str], script: str | None = None) -> subprocess.CompletedProcess[str]:
    words = {"capture_output": True, "text": True, "timeout": SECONDS, "env": os.environ | {"LC_ALL": "C"}}
    return subprocess.run(command, input=script, **words)


def _words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line) for line in done.stderr.splitlines()]
    return "; ".join(line for line in lines if line) or f"exit code {done.returncode}"
