import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure
from wandb.util import get_core_path

from frame_loggers.wandb_service import close_wandb


@pytest.fixture(autouse=True)
def _private_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in its own home and current directory, without a W&B account, and check that both stay empty."""
    environment = dict(os.environ)
    for variable in environment:
        if variable.startswith("WANDB_") or variable in ("NETRC", "UV"):
            del os.environ[variable]
    directories = [tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("current")]
    os.environ.update(
        HOME=str(directories[0]),
        MPLCONFIGDIR=matplotlib.get_cachedir(),
        WANDB_DISABLE_GIT="true",  # the commit and the installed packages are in no record that a test reads
        WANDB_ERROR_REPORTING="false",
        WANDB__SAVE_REQUIREMENTS="false",
    )
    monkeypatch.chdir(directories[1])
    yield
    close_wandb()
    os.environ.clear()
    os.environ.update(environment)
    for directory in directories:
        assert list(directory.iterdir()) == [], "a file was written outside the logger's directory"


@pytest.fixture
def figure() -> Figure:
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([0, 1, 4])
    return figure


@pytest.fixture
def read_wandb() -> Callable[[Path], list[dict[str, Any]]]:
    """Return a function that reads the records of the single offline run in a directory, by `wandb leet inspect`."""

    def read(directory: Path) -> list[dict[str, Any]]:
        (path,) = directory.glob("wandb/offline-run-*/*.wandb")
        command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        return [json.loads(line) for line in result.stdout.splitlines()]

    return read
