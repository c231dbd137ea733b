import os
import signal
from pathlib import Path
from typing import Any

import wandb

from frame_core import SCALAR_ENTRY, LogEntry
from frame_loggers import WandbLogger
from frame_loggers.wandb_service import _find_service, close_wandb


def start_service(directory: Path) -> Any:
    WandbLogger("project", "name", directory).log("loss", LogEntry(SCALAR_ENTRY, 1.0), 1)
    service = _find_service()
    assert service is not None
    assert "wandb-core" in Path(f"/proc/{service.pid}/cmdline").read_text()
    return service


def test_closing_waits_for_the_service_to_exit(tmp_path: Path) -> None:
    service = start_service(tmp_path)
    wandb.finish()
    close_wandb()
    assert service.returncode == 0
    assert _find_service() is None


def test_a_service_that_does_not_exit_is_killed_and_the_next_run_starts_another(tmp_path: Path) -> None:
    service = start_service(tmp_path)
    wandb.finish()
    os.kill(service.pid, signal.SIGSTOP)
    close_wandb(timeout=0.1)
    assert service.returncode == -signal.SIGKILL
    assert _find_service() is None
    assert start_service(tmp_path).pid != service.pid
    wandb.finish()


def test_closing_without_a_service_does_nothing() -> None:
    close_wandb()
    close_wandb()
