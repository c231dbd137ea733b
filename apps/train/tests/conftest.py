"""Real data, commands in this process and in others, and one trained run."""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings

from docstrings import skip_docstrings_of_fields
from frame_train.commands.evaluate import main as evaluate_main
from frame_train.commands.runs import main as runs_main
from frame_train.commands.train import main as train_main
from frame_train.composition.settings import workspace
from frame_train.data.sources.mnist import FILES
from processes import Commands, ForkServer
from shortcuts import take_shortcuts

skip_docstrings_of_fields()
torch.set_num_threads(1)  # the networks are small, and every core runs a test
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
settings.register_profile("unhurried", deadline=None)  # a busy machine is slow
settings.load_profile("unhurried")

_DATA_ROOT = Path(os.environ.get("FRAME_DATA_ROOT", workspace() / ".." / "shared" / "data")).resolve()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that start commands in other processes first, because they take longest."""
    long_files = {item.path for item in items if "fork_server" in getattr(item, "fixturenames", [])}
    items.sort(key=lambda item: item.path not in long_files)


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("gpu")
    n_needed = 0 if marker is None else marker.kwargs.get("n", 1)
    if torch.cuda.device_count() < n_needed:
        pytest.skip(f"needs {n_needed} GPUs" if n_needed > 1 else "needs a GPU")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of the real MNIST: FRAME_DATA_ROOT, by default ../shared/data beside the workspace."""
    if not all((_DATA_ROOT / "MNIST" / "raw" / name).is_file() for name in FILES):
        pytest.skip(f"MNIST is not in {_DATA_ROOT}: FRAME_DATA_ROOT names its folder")
    return _DATA_ROOT


@pytest.fixture(autouse=True)
def _close_wandb() -> Iterator[None]:
    """Close the wandb service after each test, because wandb reads its settings only once."""
    yield
    if "wandb" in sys.modules:
        from frame_loggers.wandb_service import close_wandb  # imported late, because most tests need no wandb

        close_wandb()


@pytest.fixture(scope="session", autouse=True)
def _shortcuts() -> None:
    take_shortcuts()


class Result(NamedTuple):
    """Exit code and output of a command."""

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
    """Run `train` in this process; it writes to ``tmp_path / "runs"`` and logs to no service."""
    for run in _make_command(train_main, monkeypatch, tmp_path, capfd):
        yield partial(run, f"device.experiments_root={tmp_path / 'runs'}")


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `evaluate` in this process."""
    yield from _make_command(evaluate_main, monkeypatch, tmp_path, capfd)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `runs` in this process."""
    yield from _make_command(runs_main, monkeypatch, tmp_path, capfd)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture(scope="module")
def commands(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Start commands in processes of their own, which log to no service."""
    return Commands(fork_server, tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="session")
def trained(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run of two epochs that another process has trained. Tests must not write to it."""
    root = tmp_path_factory.mktemp("trained")
    command = Commands(fork_server, root).run(
        "+experiment=DIGITS_VAE",
        "logging=tensorboard",
        "callbacks/checkpoint@callbacks=[last,best,periodic]",
        "callbacks.periodic_checkpoint.save_every=1 epoch",
        "params.beta={_target_:frame_core.LinearWarmup,start:0.0,end:1.0,over:4 epochs}",
        "trainer.max_epochs=2",
        "trainer.limit_train_batches=2",
        f"device.experiments_root={root}",
    )
    assert command.code == 0, command.output
    (directory,) = (root / "DIGITS" / "VAE").iterdir()
    return directory
