"""Training in step groups equals training in single steps, bit by bit."""

import os
import signal
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging, Timer
from torch import Tensor

from frame_loggers import FileLogger
from frame_train.callbacks import (
    CumulativeLogCallback,
    PeriodicCheckpoint,
    ProgressBar,
    StopOnSignal,
    TrainDurationCallback,
)
from frame_train.data import Digits
from frame_train.data.augmentation import RandomShift
from frame_train.optimization import AdamBatchOptimization, OptimizationModule
from runs import read_entries
from trainers import (
    BATCH_SIZE,
    DIGITS,
    N_BATCHES,
    Losses,
    fit,
    ignore_lightning_warnings,
    make_adam,
    make_adversarial,
    make_batch,
    make_vae,
)

pytestmark = ignore_lightning_warnings

StepLR = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
Plateau = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, threshold=10.0)
MAKERS: dict[str, Any] = {
    "iterations": make_adam,
    "epochs": partial(make_adam, "3 epochs"),
    "global_steps": partial(make_adam, "11 global_steps"),
    "augmentation": partial(make_adam, augmentation=RandomShift(1)),
    "step": partial(make_batch, StepLR, scheduler_interval="step"),
    "epoch": partial(make_batch, StepLR),
    "plateau of steps": partial(make_batch, Plateau, scheduler_interval="step"),
    "plateau of epochs": partial(make_batch, Plateau),
    "adversarial": make_adversarial,
}


class Interrupted(Callback):
    """Sends a signal to this process in the middle of a step."""

    call_every = 0

    def __init__(self, step: int) -> None:
        self.step = step

    def on_before_optimizer_step(self, trainer: Trainer, *arguments: Any) -> None:
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), signal.SIGTERM)


def fit_groups(
    make: Callable[..., OptimizationModule], *callbacks: Callback, n: int | None = 1, **options: Any
) -> tuple[Any, Losses]:
    """Train in groups of n steps, for three epochs by default."""
    losses = Losses()
    trainer = fit(partial(make, steps_per_execution=n), *callbacks, losses, **{"max_epochs": 3, **options})
    return trainer.lightning_module, losses


@cache
def fit_singly(make: Callable[..., OptimizationModule], **options: Any) -> tuple[Any, Losses]:
    """Train in single steps, once for all tests."""
    return fit_groups(make, **options)


def assert_equal(optimization: OptimizationModule, expected: OptimizationModule) -> None:
    assert optimization.counters == expected.counters
    state, other = optimization.state_dict(), expected.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)
    for optimizer, reference in zip(optimization.trainer.optimizers, expected.trainer.optimizers, strict=True):
        assert optimizer.param_groups[0]["lr"] == reference.param_groups[0]["lr"]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("n", "steps"),
    [
        (2, [2, 4, 5, 6, 8, 10, 12, 14, 15]),
        pytest.param(4, [4, 5, 8, 10, 12, 15], marks=pytest.mark.slow),
        pytest.param(8, [1, 5, 8, 10, 11, 15], marks=pytest.mark.slow),
    ],
)
def test_weights_and_losses_equal_those_of_single_steps(name: str, n: int, steps: list[int]) -> None:
    (optimization, losses), (expected, singles) = fit_groups(MAKERS[name], n=n), fit_singly(MAKERS[name])
    assert_equal(optimization, expected)
    assert losses.losses == singles.losses
    assert losses.iterations == steps
    assert losses.steps == [singles.steps[n_done - 1] for n_done in steps]


@pytest.mark.parametrize("make", [make_adam, make_adversarial])
@pytest.mark.parametrize(
    "options",
    [
        {"max_steps": 7},
        {"max_steps": 10},
        {"limit_train_batches": 3},
        {"limit_train_batches": 4, "max_steps": 11},
        {"precision": "bf16-mixed"},
        {"precision": "bf16-true"},
    ],
    ids=str,
)
def test_limits_and_precision_of_the_trainer_are_respected(
    options: dict[str, Any], make: Callable[..., OptimizationModule]
) -> None:
    (optimization, losses), (expected, singles) = fit_groups(make, n=2, **options), fit_groups(make, **options)
    assert optimization.trainer.global_step == expected.trainer.global_step
    assert optimization.trainer.current_epoch == expected.trainer.current_epoch
    assert losses.losses == singles.losses
    assert_equal(optimization, expected)


_RESUMED = {(1, 2, 2), (4, 3, 3), (5, 3, 1), (7, 1, 3), (14, 2, 3)}
"""Each number of steps and each pair of group sizes once. All combinations are slow."""


@pytest.mark.parametrize("make", [make_adam, make_adversarial])
@pytest.mark.parametrize(
    ("n_steps", "n", "n_after"),
    [
        pytest.param(n_steps, *pair, marks=[] if (n_steps, *pair) in _RESUMED else pytest.mark.slow)
        for n_steps in (1, 4, 5, 7, 14)
        for pair in ((2, 2), (3, 3), (3, 1), (1, 3), (2, 3))
    ],
)
def test_a_training_resumes_at_any_step_with_any_group_size(
    n_steps: int, n: int, n_after: int, make: Callable[..., OptimizationModule], tmp_path: Path
) -> None:
    optimization, losses = fit_groups(make, n=n, max_steps=n_steps)
    optimization.trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed, others = fit_groups(make, n=n_after, resume_from=tmp_path / "a.ckpt")
    expected, singles = fit_singly(make)
    assert losses.losses + others.losses == singles.losses
    assert resumed.trainer.global_step == expected.trainer.global_step
    assert_equal(resumed, expected)


def read_steps(directory: Path) -> list[int]:
    return sorted(int(path.stem[-8:]) for path in directory.glob("*.ckpt"))


def test_logs_and_checkpoints_are_written_at_their_steps(tmp_path: Path) -> None:
    for n in (1, 8):
        directory = tmp_path / str(n)
        checkpoint = PeriodicCheckpoint(str(directory / "checkpoints"), "4 iterations", keep_all=True)
        log, often = CumulativeLogCallback("1 epoch"), CumulativeLogCallback("6 global_steps")
        logger = FileLogger(directory)
        fit_groups(make_adam, log, often, checkpoint, n=n, logger=logger)
    entries, expected = read_entries(tmp_path / "8"), read_entries(tmp_path / "1")
    for entry, other in zip(entries, expected, strict=True):
        assert entry["trainer/global_step"] == other["trainer/global_step"]
        assert entry["counters/iteration"] == other["counters/iteration"]
        assert entry["Train/loss"] == pytest.approx(other["Train/loss"], rel=1e-6)
    assert [entry["trainer/global_step"] for entry in entries] == [5, 6, 10, 12, 15, 15]
    assert read_steps(tmp_path / "8" / "checkpoints") == read_steps(tmp_path / "1" / "checkpoints") == [4, 8, 12, 15]


@pytest.mark.parametrize(
    ("interval", "stride"),
    [
        ("1 minute", 0),
        ("2 epochs", 0),
        ("0.5 epochs", 1),
        ("100 iterations", 100),
        ("30 global_steps", 30),
        ("2.5 iterations", 1),
        ("3 generator_steps", 1),
    ],
)
def test_an_interval_determines_how_often_its_callback_is_called(interval: str, stride: int) -> None:
    assert CumulativeLogCallback(interval).call_every == stride


@pytest.mark.parametrize(("first", "n", "n_after"), [("1 epoch", 3, 2), ("1 epoch", 2, 1), ("5 iterations", 5, 4)])
def test_a_clock_resumes_in_the_middle_of_an_epoch_with_another_group_size(
    first: str, n: int, n_after: int, tmp_path: Path
) -> None:
    for n_steps in (7, 8):
        callbacks = TrainDurationCallback("2 epochs"), CumulativeLogCallback(first)
        optimization, _ = fit_groups(make_adam, *callbacks, n=n, max_steps=n_steps)
        optimization.trainer.save_checkpoint(tmp_path / "a.ckpt")
        callbacks = TrainDurationCallback("2 epochs"), CumulativeLogCallback(first)
        resumed, _ = fit_groups(make_adam, *callbacks, resume_from=tmp_path / "a.ckpt", n=n_after)
        assert resumed.trainer.global_step == 2 * N_BATCHES


def test_the_progress_bar_counts_steps(capsys: pytest.CaptureFixture[str]) -> None:
    fit_groups(make_adam, ProgressBar(), n=2)
    assert "15/15 " in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate_grad_batches": 2},
        {"gradient_clip_val": 0.1},
        {"limit_train_batches": 0.7},
        {"callbacks": lambda: [EMAWeightAveraging(decay=0.9)]},
        {"callbacks": lambda: [Timer("00:01:00:00")]},
        {"callbacks": lambda: [TrainDurationCallback("1.5 epochs")]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_whatever_acts_on_every_step_makes_groups_of_one_step(options: dict[str, Any]) -> None:
    make_callbacks = options.get("callbacks", list)
    others = {key: value for key, value in options.items() if key != "callbacks"}
    optimization, losses = fit_groups(make_adam, *make_callbacks(), n=4, **others)
    expected, singles = fit_groups(make_adam, *make_callbacks(), **others)
    assert losses.losses == singles.losses
    assert losses.iterations == singles.iterations == list(range(1, len(singles.iterations) + 1))
    assert_equal(optimization, expected)


def test_an_interval_in_global_steps_makes_groups_of_one_step_if_a_batch_takes_several() -> None:
    callbacks = CumulativeLogCallback("3 global_steps"), CumulativeLogCallback("4 iterations")
    assert fit_groups(make_adversarial, *callbacks, n=4)[1].iterations == list(range(1, 3 * N_BATCHES + 1))
    assert fit_groups(make_adversarial, callbacks[1], n=4)[1].iterations == [4, 5, 8, 10, 12, 15]


class OwnSteps(AdamBatchOptimization):
    """Manual optimization of a user, which returns a number beside the loss."""

    def __init__(self, **options: Any) -> None:
        super().__init__(make_vae(), DIGITS, 0, BATCH_SIZE, 1e-3, **options)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.take_steps(self._step_on, batch, batch_idx)

    def _step_on(self, batch: Any, batch_idx: int) -> dict[str, Tensor | float]:
        optimizer: Any = self.optimizers()
        loss = self.model.compute_loss(batch, batch_idx)["loss"]
        assert isinstance(loss, Tensor)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return {"loss": loss, "squared": loss.item() ** 2}


def test_steps_of_a_manual_optimization_may_return_numbers(tmp_path: Path) -> None:
    trained: dict[int, Any] = {}
    for n in (1, 4):
        callbacks, logger = (CumulativeLogCallback("4 iterations"),), FileLogger(tmp_path / str(n))
        trained[n], _ = fit_groups(OwnSteps, *callbacks, n=n, max_epochs=1, logger=logger)
    assert_equal(trained[4], trained[1])
    entries = read_entries(tmp_path / "4")
    assert entries == read_entries(tmp_path / "1")
    assert "Train/squared" in str(entries)


def test_max_steps_holds_after_a_resume_with_shorter_epochs(tmp_path: Path) -> None:
    optimization, _ = fit_groups(make_adam, n=4, max_steps=7)
    optimization.trainer.save_checkpoint(tmp_path / "a.ckpt")
    options = {"resume_from": tmp_path / "a.ckpt", "limit_train_batches": 4, "max_steps": 12, "max_epochs": -1}
    (resumed, losses), (expected, singles) = fit_groups(make_adam, n=4, **options), fit_groups(make_adam, **options)
    assert resumed.trainer.global_step == 12
    assert losses.losses == singles.losses
    assert_equal(resumed, expected)


def test_an_optimizer_that_computes_the_loss_several_times_takes_its_steps_in_groups() -> None:
    make = partial(make_batch, optimizer=partial(torch.optim.LBFGS, lr=0.1, max_iter=3))

    (optimization, losses), (expected, singles) = fit_groups(make, n=4, max_steps=6), fit_groups(make, max_steps=6)
    assert losses.steps == [4, 5, 6]
    assert losses.losses == singles.losses
    assert_equal(optimization, expected)


@pytest.mark.parametrize(
    ("make", "step", "stopped_at"),
    [
        (make_adam, 2, 2),
        (make_adam, 7, 7),
        (make_adam, 9, 10),  # after a signal in its last group, an epoch is completed
        (make_adam, 14, 15),
        (make_adversarial, 2, 3),  # the generator steps after the second step of the discriminator
    ],
)
def test_a_signal_ends_a_group_after_the_current_step(
    make: Callable[..., OptimizationModule], step: int, stopped_at: int, tmp_path: Path
) -> None:
    stop = StopOnSignal()
    with stop.listening():
        optimization, losses = fit_groups(make, stop, Interrupted(step), n=4, min_epochs=3)
    assert optimization.trainer.global_step == stopped_at
    optimization.trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed, others = fit_groups(make, n=4, resume_from=tmp_path / "a.ckpt")
    expected, singles = fit_singly(make)
    assert losses.losses + others.losses == singles.losses
    assert_equal(resumed, expected)


class Failing(Digits):
    """Fails to read a batch of the second epoch."""

    n_reads = 0

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        self.n_reads += 1
        if self.n_reads > N_BATCHES:
            raise OSError("The disk is gone.")
        return super().get_batch(indices)


@pytest.mark.parametrize("n", [1, 4])
def test_a_checkpoint_after_a_failed_start_of_an_epoch_is_at_its_beginning(n: int, tmp_path: Path) -> None:
    make = partial(AdamBatchOptimization, make_vae(), {"train": Failing("train")}, 0, BATCH_SIZE, 1e-3)
    checkpoint = PeriodicCheckpoint(str(tmp_path), "1 minute")
    with pytest.raises(RuntimeError, match="The disk is gone"):
        fit_groups(make, checkpoint, n=n)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["position"] == {"epoch": 1, "batch": 0}


@pytest.mark.parametrize(
    ("data_set", "steps"), [(DIGITS["train"], [1, 5, 6, 10, 11, 15]), (list(DIGITS["train"]), range(1, 16))]
)
def test_in_memory_data_are_trained_on_in_groups_of_ten_steps(data_set: Any, steps: Sequence[int]) -> None:
    make = partial(AdamBatchOptimization, make_vae(), {"train": data_set}, 0, BATCH_SIZE, 1e-3)
    _, losses = fit_groups(make, n=None)
    assert losses.steps == list(steps)
