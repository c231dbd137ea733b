"""Shutdown of wandb's service, the process that writes and uploads runs."""

import signal
import subprocess
import threading
from typing import Any

import wandb
from wandb.sdk import wandb_setup

CLOSE_TIMEOUT = 30.0
"""Seconds that the service gets to exit. Uploads are complete by then, because the end of a run waits for them."""


def close_wandb(timeout: float = CLOSE_TIMEOUT) -> None:
    """Call ``wandb.teardown()``, which waits for the service to exit, and kill the service after a timeout.

    If a connection breaks in the middle of a request, the service never receives the request to exit. It would only
    exit after ten minutes without requests.

    Args:
        timeout: Seconds after which the service is killed.
    """
    service = _find_service()
    if service is None:
        wandb.teardown()
        return
    timer = threading.Timer(timeout, service.kill)
    timer.start()
    try:
        wandb.teardown()
    except SystemExit:  # raised by wandb, with the exit code of its service
        if service.returncode != -signal.SIGKILL:
            raise
        wandb.teardown()  # completes the teardown
    finally:
        timer.cancel()


def _find_service() -> subprocess.Popen[bytes] | None:
    """Find the service process that wandb started. wandb has no public name for it."""
    found: Any = wandb_setup
    for name in ("_singleton", "_connection", "_proc", "_process"):
        found = getattr(found, name, None)
    return found if isinstance(found, subprocess.Popen) else None
