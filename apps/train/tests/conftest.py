"""Real data, and the command `train` run in this process."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.core.global_hydra import GlobalHydra

from frame_train.data.mnist import FILES
from frame_train.settings import workspace
from frame_train.train import main

_DATA_ROOT = Path(os.environ.get("FRAME_DATA_ROOT", workspace() / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Give the folder of the real MNIST: FRAME_DATA_ROOT, by default ../shared/data beside the workspace."""
    if not all((_DATA_ROOT / "MNIST" / "raw" / name).is_file() for name in FILES):
        pytest.skip(f"MNIST is not in {_DATA_ROOT}: FRAME_DATA_ROOT names its folder")
    return _DATA_ROOT


class Result(NamedTuple):
    """What a command came to."""

    code: int
    output: str
    errors: str


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Result]]:
    """Run `train` with some arguments; it writes to ``tmp_path / "runs"`` and logs to no service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("DEVICE_NAME", raising=False)

    def run(*arguments: str) -> Result:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setattr(sys, "argv", ["train", f"device.runs_root={tmp_path / 'runs'}", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Result(code, *capfd.readouterr())

    yield run
    GlobalHydra.instance().clear()
