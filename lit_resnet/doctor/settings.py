"""What to write into commands and cluster files, from what was measured."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml

from lit_resnet.doctor.finding import Finding
from lit_resnet.grid.cluster import Cluster

GAIN = 1.1  # a setting that makes runs less than this much faster is not worth other numbers, or more memory


def recommended(findings: Iterable[Finding], cluster: Cluster) -> str:
    """The settings as lines to copy; empty where nothing was measured that they depend on.

    Args:
        findings: Those of one machine.
        cluster: The settings that are to be made better.
    """
    measured: dict[str, Any] = {}
    for finding in findings:
        measured |= finding.measured
    words = [
        f"--set {key}={value}"
        for key, value, gain in (
            ("trainer.precision", "bf16-mixed", measured.get("bf16_gain", 0)),
            ("model.speed.compile", "true", measured.get("compile_gain", 0)),
        )
        if gain >= GAIN
    ]
    gpus, cores = measured.get("gpus", 0), measured.get("cores")
    side = measured.get("runs_per_gpu", 1)
    if gpus and side > 1:
        words.insert(0, f"--jobs-per-gpu {side}")
    elif jobs := measured.get("jobs"):
        words.insert(0, f"--jobs {jobs}")
    lines = [" ".join(["lit-resnet launch GRID", *words])] if words else []
    if gpus and cores:
        best = replace(
            cluster, cpus=max(1, cores // gpus), runs_per_gpu=side, runs_per_job=max(side, cluster.runs_per_job)
        )
        changed = {
            key: getattr(best, key)
            for key in ("partition", "gres", "cpus", "runs_per_job", "runs_per_gpu")
            if getattr(best, key) is not None
        }
        lines += ["cluster file:", *(f"  {line}" for line in yaml.safe_dump(changed, sort_keys=False).splitlines())]
    return "\n".join(lines)
