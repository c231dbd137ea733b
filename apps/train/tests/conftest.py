"""Real data, and the command `train` run in this process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings

from frame_train.commands.evaluate import main as evaluate_main
from frame_train.commands.train import main as train_main
from frame_train.composition.settings import workspace
from frame_train.data.mnist import FILES

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small, and there is a test on every core
settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault
settings.load_profile("unhurried")

_DATA_ROOT = Path(os.environ.get("FRAME_DATA_ROOT", workspace() / ".." / "shared" / "data")).resolve()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
        pytest.skip("there is no GPU")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Give the folder of the real MNIST: FRAME_DATA_ROOT, by default ../shared/data beside the workspace."""
    if not all((_DATA_ROOT / "MNIST" / "raw" / name).is_file() for name in FILES):
        pytest.skip(f"MNIST is not in {_DATA_ROOT}: FRAME_DATA_ROOT names its folder")
    return _DATA_ROOT


@pytest.fixture(autouse=True)
def _forget_wandb_settings() -> Iterator[None]:
    """Let the next test in this process begin with wandb's settings unread: a mode is kept once it was read."""
    yield
    if "wandb" in sys.modules:
        from frame_loggers.wandb_service import close_wandb  # most tests need no wandb

        close_wandb()


class Result(NamedTuple):
    """What a command came to."""

    code: int
    output: str
    errors: str


Command = Callable[..., Result]


def _make_command(
    main: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("DEVICE_NAME", raising=False)

    def run(*arguments: str) -> Result:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Result(code, *capfd.readouterr())

    yield run
    GlobalHydra.instance().clear()


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `train` with some arguments; it writes to ``tmp_path / "runs"`` and logs to no service."""
    for run in _make_command(train_main, monkeypatch, tmp_path, capfd):
        yield partial(run, f"device.runs_root={tmp_path / 'runs'}")


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `evaluate` with some arguments."""
    yield from _make_command(evaluate_main, monkeypatch, tmp_path, capfd)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, trained by another process: its directory, not to be written to."""
    root = tmp_path_factory.mktemp("trained")
    arguments = (
        "+experiment=DIGITS_VAE",
        "logging=tensorboard",
        "callbacks/checkpoint@callbacks=[last,best,periodic]",
        "callbacks.periodic_checkpoint.save_every=1 epoch",
        "params.beta={_target_:frame_core.LinearWarmup,start:0.0,end:1.0,over:4 epochs}",
        "trainer.max_epochs=2",
        "trainer.limit_train_batches=2",
        f"device.runs_root={root}",
    )
    command = [sys.executable, "-m", "frame_train", *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=root)
    (directory,) = (root / "DIGITS" / "VAE").iterdir()
    return directory
