"""A user's procedure with two optimizers, each with its own schedule, and with clipped gradients."""

import math
import signal
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import frame_train
from frame_train import Result
from projects import Project
from runs import read_weights

N_STEPS = 21  # three epochs of seven batches


class Watch(Callback):
    """Records the optimizer, its learning rate and the norm of its gradient before each of its steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float, float]] = []
        watches.append(self)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        (group,) = optimizer.param_groups
        gradients = [parameter.grad for parameter in group["params"]]
        norm = torch.nn.utils.get_total_norm(gradients).item()
        self.steps.append((type(optimizer).__name__, group["lr"], norm))


watches: list[Watch] = []


class Interrupt(Callback):
    """Interrupts the training within its second epoch."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
        if pl_module.counters["iteration"] == 10:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train(f"+callbacks.watch._target_={__name__}.Watch")


def read(name: str, column: int) -> list[float]:
    """Read the learning rates (1) or the norms (2) of the steps of an optimizer."""
    (watch,) = watches
    return [step[column] for step in watch.steps if step[0] == name]


def test_each_optimizer_takes_its_own_steps(project: Project, result: Result) -> None:
    assert (len(read("Adam", 1)), len(read("SGD", 1))) == (N_STEPS, N_STEPS // 3)
    run = project.load(result)
    assert run.counters == {"iteration": N_STEPS, "decoder_step": N_STEPS // 3}
    assert run.global_step == N_STEPS + N_STEPS // 3


@pytest.mark.parametrize(("name", "rate"), [("Adam", 1e-3), ("SGD", 1e-2)])
def test_each_optimizer_follows_its_own_schedule(result: Result, name: str, rate: float) -> None:
    rates = read(name, 1)
    n_warmup = math.ceil(0.2 * len(rates))
    rising, falling = rates[:n_warmup], rates[n_warmup:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert max(rates) == pytest.approx(rate, rel=0.1)
    assert rates[-1] < 0.2 * rate


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_the_gradients_of_each_optimizer_are_clipped(result: Result, name: str) -> None:
    norms = read(name, 2)
    assert max(norms) == pytest.approx(1.0, rel=1e-4)


def test_evaluations_follow_a_counter_of_the_procedure(project: Project, result: Result) -> None:
    metrics = project.load(result).metrics
    steps = metrics.loc[metrics["ELBO/Validation"].notna(), "counters/decoder_step"]
    assert list(steps) == [2, 4, 6, 7]


def test_an_interrupted_run_ends_with_the_weights_and_optimizers_of_an_uninterrupted_one(
    project: Project, result: Result
) -> None:
    stopped = project.train(f"+callbacks.interrupt._target_={__name__}.Interrupt")
    assert (stopped.status, stopped.stopped_by) == ("stopped", signal.SIGINT)
    resumed = frame_train.train([f"resume={stopped.directory}", "~callbacks.interrupt"])
    assert resumed.status == "complete"
    assert resumed.last == result.last
    assert read_weights(resumed.directory) == read_weights(result.directory)
