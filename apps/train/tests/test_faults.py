"""Promises of docs/reliability.md: what a run does when something fails."""

import contextlib
import errno
import itertools
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import Dataset

from doubles import FailingEvaluation
from frame_core import SCALAR_ENTRY, LogEntry
from frame_eval import ELBOEvaluation
from frame_loggers import FileLogger, WandbLogger
from frame_loggers.wandb_service import close_wandb
from frame_train.callbacks import CumulativeLogCallback, PeriodicCheckpoint, StopOnSignal
from frame_train.commands.output import forgiving_output
from frame_train.runs.checkpoint_files import find_newest
from frame_train.signals import list_stopping
from runs import SMALL_VAE, find_run, read_description, read_entries
from trainers import fit, ignore_lightning_warnings, make_tiny_optimization
from wandb_server import WandbServer

RUN = (
    *SMALL_VAE,
    "logging=none",
    "callbacks.last_checkpoint.save_every=3 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "trainer.max_epochs=2",
)
Train = Callable[..., Any]


def assert_reported(result: Any, *parts: str) -> None:
    """Check that a command failed with exit code 1 and a message of a few lines."""
    assert result.code == 1, result
    assert "Traceback" not in result.errors
    assert len(result.errors.strip().splitlines()) <= 3, result.errors
    for part in parts:
        assert part in result.errors


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_finite_checkpoint(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.Adam.step
    n_steps = 0

    def spoil(optimizer: torch.optim.Adam, closure: Callable[[], Any]) -> Any:
        nonlocal n_steps
        n_steps += 1
        loss = step(optimizer, closure)
        if n_steps == 7:
            optimizer.param_groups[0]["params"][2].data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(torch.optim.Adam, "step", spoil)
    result = train(*RUN)
    run = find_run(tmp_path)
    assert_reported(
        result,
        "The loss is not finite between the global steps 5 and 10: `loss` is nan, `reconstruction` is nan",
        "The first parameter that is not finite: `model.encoder.network",
        f"The last checkpoint has global step 6. `train resume={run}` continues from it.",
    )
    newest, _ = find_newest(run / "checkpoints")
    assert newest is not None
    assert newest.global_step == 6
    monkeypatch.undo()
    assert train(f"resume={run}").code == 0


def test_checking_for_finite_losses_does_not_make_each_step_wait_for_the_device() -> None:
    callback: Any = CumulativeLogCallback("5 iterations")
    optimization = SimpleNamespace(automatic_optimization=False, counters={"iteration": 0})
    options = {"global_step": 0, "accumulate_grad_batches": 1, "num_training_batches": 5}
    strategy = SimpleNamespace(root_device=torch.device("meta"))
    trainer = SimpleNamespace(lightning_module=optimization, strategy=strategy, **options)
    outputs = {"loss": torch.empty((), device="meta")}  # reading its value raises
    callback.on_train_batch_start(trainer, optimization, None, 0)
    for index in range(4):
        optimization.counters["iteration"] += 1
        callback.on_train_batch_end(trainer, optimization, outputs, None, index)
    optimization.counters["iteration"] += 1
    with pytest.raises(NotImplementedError):  # the value is read to be logged
        callback.on_train_batch_end(trainer, optimization, outputs, None, 4)


@pytest.mark.parametrize("number", [errno.ENOSPC, pytest.param(errno.EROFS, marks=pytest.mark.slow)])
def test_a_disk_that_cannot_be_written_ends_the_run_and_keeps_the_last_checkpoint(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    save = Trainer.save_checkpoint

    def save_half(trainer: Trainer, path: Path, *arguments: Any) -> None:
        save(trainer, path, *arguments)
        if trainer.global_step > 6:
            os.truncate(path, path.stat().st_size // 2)
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Trainer, "save_checkpoint", save_half)
    result = train(*RUN)
    run = find_run(tmp_path)
    assert_reported(
        result, f"{str(run)!r} can't be written: {os.strerror(number)}", "The last checkpoint has global step 6."
    )
    monkeypatch.undo()
    assert train(f"resume={run}").code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk, which only root can do."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a disk is not permitted")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_ends_the_run(train: Train, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Trainer.save_checkpoint

    def fill_and_save(trainer: Trainer, *arguments: Any) -> None:
        if trainer.global_step == 9:
            with contextlib.suppress(OSError), (small_disk / "filling").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        save(trainer, *arguments)

    monkeypatch.setattr(Trainer, "save_checkpoint", fill_and_save)
    result = train(*RUN, f"device.experiments_root={small_disk}")
    assert_reported(result, "can't be written: No space left on device", "The last checkpoint has global step 6.")
    monkeypatch.undo()
    (small_disk / "filling").unlink()
    assert train(f"resume={find_run(small_disk)}").code == 0


def test_the_log_never_ends_in_half_a_line(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log("A", LogEntry(SCALAR_ENTRY, 1.0), 1)
    size = (tmp_path / "metrics.jsonl").stat().st_size
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
        try:
            logger.log("A", LogEntry(SCALAR_ENTRY, 2.0), 2)
        except OSError as error:
            os._exit(error.errno or 0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == errno.EFBIG
    assert (tmp_path / "metrics.jsonl").stat().st_size == size


class Deadly(Dataset[Mapping[str, Tensor]]):
    """Kills the worker that reads one of its examples, as long as a file exists."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index == 50 and self.file.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return {"x": torch.full((1, 4, 4), index / 100), "y": torch.tensor(index % 3)}


def fit_deadly(directory: Path, data: Deadly, resume_from: Path | None = None) -> LightningModule:
    make = partial(make_tiny_optimization, data={"train": data}, num_workers=2, batch_size=5)
    checkpoint = PeriodicCheckpoint(str(directory), "1 iteration")
    return fit(make, checkpoint, resume_from=resume_from, max_epochs=2).lightning_module


@ignore_lightning_warnings
def test_a_dead_data_worker_is_an_error_and_the_run_resumes_from_its_last_step(tmp_path: Path) -> None:
    data = Deadly(tmp_path / "deadly")
    expected = fit_deadly(tmp_path / "undisturbed", data).state_dict()
    data.file.touch()
    with pytest.raises((RuntimeError, ConnectionError, EOFError)):
        fit_deadly(tmp_path / "broken", data)
    data.file.unlink()
    checkpoint, _ = find_newest(tmp_path / "broken")
    assert checkpoint is not None
    state = fit_deadly(tmp_path / "broken", data, checkpoint.path).state_dict()
    torch.testing.assert_close(state, expected, rtol=0, atol=0)


def test_an_evaluation_that_fails_after_the_last_step_is_repeated_by_evaluate(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ELBOEvaluation, "evaluate", FailingEvaluation.evaluate)
    result = train(*RUN, "trainer.max_epochs=1", "evaluation.elbo_validation.evaluate_every=1 epoch")
    assert (result.code, "failed at step 21: nothing to see" in result.errors) == (1, True)
    assert "Training is complete. `evaluate run=" in result.errors


def test_a_run_whose_evaluation_fails_in_the_step_of_a_signal_is_continued_by_train(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_batch = StopOnSignal.on_train_batch_end

    def signal_and_end_batch(callback: StopOnSignal, trainer: Trainer, *others: Any) -> None:
        if trainer.global_step == 5:
            signal.raise_signal(signal.SIGTERM)
        end_batch(callback, trainer, *others)

    monkeypatch.setattr(StopOnSignal, "on_train_batch_end", signal_and_end_batch)
    monkeypatch.setattr(ELBOEvaluation, "evaluate", FailingEvaluation.evaluate)
    result = train(*RUN, "evaluation.elbo_validation.evaluate_every=5 iterations")
    assert (result.code, "failed at step 5: nothing to see" in result.errors) == (1, True)
    assert "The last checkpoint has global step 5. `train resume=" in result.errors


@pytest.mark.parametrize("jump", [-3600, pytest.param(3600, marks=pytest.mark.slow)])
def test_a_system_clock_that_jumps_changes_nothing(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    now = time.time()
    hours = itertools.count()
    monkeypatch.setattr(time, "time", lambda: now + jump * next(hours))
    result = train(*RUN, "evaluation.elbo_validation.evaluate_every=0.000001 seconds")
    assert result.code == 0, result
    entries = read_entries(find_run(tmp_path))
    steps = [entry["trainer/global_step"] for entry in entries if "ELBO/Validation" in entry]
    assert steps == list(range(1, 43))


def remove(run: Path) -> None:
    shutil.rmtree(run)


def move(run: Path) -> None:
    run.rename(run.with_name("moved"))


@pytest.mark.parametrize(("take_away", "logging"), [(remove, "tensorboard"), (move, "none")])
def test_a_run_whose_directory_is_taken_away_ends_at_the_next_write_and_makes_no_other_one(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, take_away: Callable[[Path], None], logging: str
) -> None:
    save = Trainer.save_checkpoint

    def save_and_take_away(trainer: Trainer, *arguments: Any) -> None:
        save(trainer, *arguments)
        if trainer.global_step == 6:
            take_away(find_run(tmp_path))

    monkeypatch.setattr(Trainer, "save_checkpoint", save_and_take_away)
    result = train(*RUN, f"logging={logging}")
    assert_reported(result, "no longer exists: it was deleted or moved while the run was trained.")
    left = [path.name for path in (tmp_path / "runs" / "DIGITS" / "VAE").iterdir()]
    assert left == ([] if take_away is remove else ["moved"])
    if take_away is move:
        monkeypatch.undo()
        assert train(f"resume={tmp_path / 'runs' / 'DIGITS' / 'VAE' / 'moved'}").code == 0


def test_a_run_that_cannot_be_written_is_not_evaluated(
    evaluate: Train, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    open_file = os.open

    def refuse(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(run)):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_file(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    result = evaluate(f"run={run}")
    assert (result.code, result.output) == (2, "")
    assert f"`run`: {str(run)!r} can't be written: Permission denied. Copy it, and evaluate the copy." in result.errors
    assert len(result.errors.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_before_training_begins_ends_the_command_and_leaves_nothing(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr("frame_train.training.build_experiment", lambda *_: os.kill(os.getpid(), number))
    result = train(*RUN)
    assert result.code == 128 + number
    assert (result.output, result.errors) == ("", f"stopped by {number.name}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_terminal_is_closed_stops_as_by_sigterm_and_resumes(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Trainer.save_checkpoint

    def save_and_hang_up(trainer: Trainer, *arguments: Any) -> None:
        save(trainer, *arguments)
        if trainer.global_step == 6:
            os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(Trainer, "save_checkpoint", save_and_hang_up)
    result = train(*RUN)
    run = find_run(tmp_path)
    assert result.code == 143, result
    assert "stopped by SIGHUP at global step 7" in result.errors
    assert not read_description(run)["complete"]
    assert train(f"resume={run}").code == 0


def test_sighup_is_ignored_under_nohup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signal.SIGHUP in list_stopping()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in list_stopping()
    finally:
        signal.signal(signal.SIGHUP, before)


def open_without_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def open_full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def test_a_run_continues_when_its_output_cannot_be_written(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with os.fdopen(open_full_disk(), "w") as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        result = train(*RUN)
    assert result.code == 0, result
    expected = "The output can't be written: No space left on device. The command continues without it.\n"
    assert result.errors == expected
    assert read_description(find_run(tmp_path))["complete"]


@pytest.mark.parametrize(
    ("open_output", "reason"), [(open_without_reader, "Broken pipe"), (open_full_disk, "No space left on device")]
)
def test_output_that_cannot_be_written_is_reported_once(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    open_output: Callable[[], int],
    reason: str,
) -> None:
    with os.fdopen(open_output(), "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with forgiving_output():
            for _ in range(3):
                print("a line")  # noqa: T201
        monkeypatch.undo()
    assert capfd.readouterr().err.count(f"The output can't be written: {reason}. The command continues") == 1


def test_a_closed_output_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with forgiving_output():
        sys.stdout.write("a line")
    assert sys.stdout is None


def test_a_run_on_a_terminal_without_unicode_shows_escapes(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "output.txt").open("w", encoding="ascii") as file, monkeypatch.context() as patch:
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, file)
        result = train(*RUN, "run.name=日本語")
    assert result.code == 0, result
    assert "\\u65e5\\u672c\\u8a9e" in (tmp_path / "output.txt").read_text()


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "\\xfc \\u2192"), ("latin-1", "ü \\u2192"), ("utf-8", "ü →")]
)
def test_a_terminal_shows_the_characters_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    with (tmp_path / "output.txt").open("w", encoding=encoding) as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        with forgiving_output():
            print("ü →")  # noqa: T201
    assert (tmp_path / "output.txt").read_text(encoding=encoding) == f"{shown}\n"


@pytest.fixture
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a home of its own, and a wandb service that has no other server before or after."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.chdir(tmp_path)
    close_wandb()
    yield
    close_wandb()


def hang_up(*request: Any) -> None:
    raise ConnectionError


@pytest.mark.usefixtures("_alone")
def test_a_wandb_server_that_vanishes_does_not_block_the_run_and_the_upload_command_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("frame_loggers.wandb.FINISH_TIMEOUT", 0.2)
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        logger = WandbLogger("project", "name", tmp_path / "run")
        logger.log("A", LogEntry(SCALAR_ENTRY, 0.0), 0)
        monkeypatch.setattr(server, "answer", hang_up)
    for step in range(1, 100):
        logger.log("A", LogEntry(SCALAR_ENTRY, 0.0), step)
    logger.finalize("success")
    (folder,) = (tmp_path / "run" / "wandb").glob("run-*")
    assert f"wandb sync {folder}` to upload the rest" in caplog.text
    assert list(folder.glob("*.wandb"))


@pytest.mark.slow
@pytest.mark.usefixtures("_alone")
def test_a_checkpoint_that_wandb_does_not_accept_is_reported_and_the_run_ends_normally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("frame_loggers.wandb.FINISH_TIMEOUT", 0.2)
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(b"weights")
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        logger = WandbLogger("project", "name", tmp_path / "run")
        logger.log("A", LogEntry(SCALAR_ENTRY, 0.0), 0)
        monkeypatch.setattr(server, "answer", hang_up)
    logger.log_checkpoint(checkpoint, "last")
    logger.finalize("success")
    assert "W&B: last.ckpt could not be logged as an artifact and remains a local file: " in caplog.text
    assert "to upload the rest" in caplog.text
    assert checkpoint.read_bytes() == b"weights"


@pytest.mark.usefixtures("_alone")
def test_with_a_wandb_server_that_never_answers_the_run_logs_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("frame_loggers.wandb.INIT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        logger = WandbLogger("project", "name", tmp_path / "run")
        logger.log("A", LogEntry(SCALAR_ENTRY, 0.0), 0)
        logger.finalize("success")
    assert "the server could not be reached" in caplog.text
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
