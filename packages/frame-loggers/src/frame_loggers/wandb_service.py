"""The end of wandb's service: the process that writes and uploads what runs have logged."""

import signal
import subprocess
import threading
from typing import Any

import wandb
from wandb.sdk import wandb_setup

CLOSE_TIMEOUT = 30.0
"""Seconds that the service has for its end: whoever finished a run has waited for its upload before."""


def close_wandb(timeout: float = CLOSE_TIMEOUT) -> None:
    """Call ``wandb.teardown()``, which waits for the service to end, and end the service where it does not.

    A service whose connection broke off in the middle of a request has never been told to end: it would be waited for
    until it finds, after ten minutes, that nobody has called.

    Args:
        timeout: Seconds after which the service is ended.
    """
    service = _find_service()
    if service is None:
        wandb.teardown()
        return
    timer = threading.Timer(timeout, service.kill)
    timer.start()
    try:
        wandb.teardown()
    except SystemExit:  # wandb's, with the code of its service
        if service.returncode != -signal.SIGKILL:
            raise
        wandb.teardown()  # the rest of it
    finally:
        timer.cancel()


def _find_service() -> subprocess.Popen[bytes] | None:
    """Find the process that this one has started for wandb; wandb has no name for it that is meant for others."""
    found: Any = wandb_setup
    for name in ("_singleton", "_connection", "_proc", "_process"):
        found = getattr(found, name, None)
    return found if isinstance(found, subprocess.Popen) else None
