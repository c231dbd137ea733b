"""Requeuing of SLURM jobs that reach their time limit."""

import os
import signal
import subprocess

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment


def is_requeue(received: signal.Signals, environment: ClusterEnvironment) -> bool:
    """Return whether a signal requests a requeue: SIGUSR1 in a job that ``srun`` has started.

    ``SLURMEnvironment(auto_requeue=False)`` under ``trainer.plugins`` turns requeuing off.
    """
    return (
        isinstance(environment, SLURMEnvironment)
        and environment.auto_requeue
        and received == environment.requeue_signal
    )


def requeue() -> str:
    """Ask SLURM to requeue this job, or this task of an array; return its reason to refuse, or an empty string.

    SLURM kills the job at once, so call this after everything is written.
    """
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        result = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    except OSError as error:
        return f"`scontrol` can't be run: {error.strerror}"
    return "" if result.returncode == 0 else result.stderr.strip() or f"exit code {result.returncode}"
