"""Who starts the processes of a run with several devices: Slurm's srun, or Lightning itself."""

import os

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment


def environment(processes: int) -> ClusterEnvironment:
    """The environment of a run of so many processes over all nodes.

    It is Slurm's if srun has started as many tasks. Else it is Lightning's own: in a job's script that does without
    srun, and for runs of one device each that share a job. Lightning does not requeue the job: the job's script does.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 0))  # which srun sets, where SLURM_NTASKS is also the script's
    return SLURMEnvironment(auto_requeue=False) if processes > 1 and tasks == processes else LightningEnvironment()


def slurm_job() -> str | None:
    """The id of the Slurm job around this process: `123_4` for a task of an array; None outside of one."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")
