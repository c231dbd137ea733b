"""A job of SLURM that is put back into the queue when its time is up."""

import os
import signal
import subprocess

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment


def is_requeue(received: signal.Signals, environment: ClusterEnvironment) -> bool:
    """Return whether a signal asks for a requeue: SIGUSR1 in a job that ``srun`` has started.

    ``SLURMEnvironment(auto_requeue=False)`` under ``trainer.plugins`` leaves the job as it is.
    """
    return (
        isinstance(environment, SLURMEnvironment)
        and environment.auto_requeue
        and received == environment.requeue_signal
    )


def requeue() -> str:
    """Ask SLURM to run this job, or this task of an array, once more; give why it does not, or nothing.

    SLURM then ends what is left of the job: all must be written before.
    """
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        result = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    except OSError as error:
        return f"`scontrol` can't be run: {error.strerror}"
    return "" if result.returncode == 0 else result.stderr.strip() or f"exit code {result.returncode}"
