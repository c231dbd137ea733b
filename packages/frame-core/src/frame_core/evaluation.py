"""From an optimization to a log entry, without a trace in the training."""

import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import nn

from frame_core.data import get_split
from frame_core.log_entry import LogEntry
from frame_core.models import Model
from frame_core.optimization import Optimization


class Evaluation(ABC):
    """Measures or pictures what an optimization has reached.

    It is run by `run_evaluation`, which sees to it that training goes on as if nothing had happened:
    `evaluate` finds the model in eval mode, without gradients, and may draw random numbers freely.
    """

    requires: ClassVar[type[Model]] = Model
    """The capability that the model must have."""

    evaluate_on: str = ""
    """The split of the data that is looked at, empty where it is none."""

    def check(self, optimization: Optimization) -> None:  # noqa: B027  # most ask for nothing else
        """Check what else the evaluation asks for, by a look at one datum at most.

        It is called by `check_requirements`, for a model with the capability and data with the split.

        Raises:
            TypeError: Something is of another kind.
            ValueError: Something is missing.
        """

    @abstractmethod
    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Turn the present state of an optimization into an entry to log."""


def check_requirements(evaluation: Evaluation, optimization: Optimization) -> None:
    """Check that an optimization has what an evaluation asks for: the capability, the split, and what it checks itself.

    Raises:
        TypeError: The model lacks the capability, or the evaluation finds something of another kind.
        ValueError: The data have no such split, nothing in it, or the evaluation finds something missing.
    """
    if not isinstance(optimization.model, evaluation.requires):
        raise TypeError(
            f"`{type(evaluation).__name__}` needs a `{evaluation.requires.__name__}`, "
            f"and `{type(optimization.model).__name__}` is none."
        )
    if evaluation.evaluate_on:
        get_split(optimization.data, evaluation.evaluate_on)
    with undisturbed(optimization.model):  # to read a datum may be to draw from a generator
        evaluation.check(optimization)


def run_evaluation(evaluation: Evaluation, optimization: Optimization) -> LogEntry:
    """Evaluate, and leave the optimization and every random state as they were.

    The evaluation starts from random seed 0, so that its result depends on the optimization alone
    and two results differ by what was learned in between.

    Raises:
        TypeError: The model lacks the capability that the evaluation needs, something is of another kind, or
            something else than a `LogEntry` came back.
        ValueError: The data lack the split that the evaluation looks at, or something that it needs is missing.
    """
    check_requirements(evaluation, optimization)
    with undisturbed(optimization.model):
        entry = evaluation.evaluate(optimization)
    if not isinstance(entry, LogEntry):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"`{type(evaluation).__name__}.evaluate` must return a `LogEntry`, got {entry!r}.")
    return entry


@contextmanager
def undisturbed(model: nn.Module) -> Generator[None]:
    """Switch to eval mode, no gradients and random seed 0, and switch everything back at the end."""
    training = {module: module.training for module in model.modules()}
    with torch.no_grad(), _forked_random_states():
        model.eval()
        try:
            yield
        finally:
            for module, mode in training.items():
                module.training = mode


@contextmanager
def _forked_random_states() -> Generator[None]:
    """Seed Python, NumPy and torch (CPU and every accelerator) with 0, and put their states back at the end."""
    numpy = sys.modules.get("numpy")  # core does not need NumPy: where nobody imported it, nobody draws from it
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(range(torch.accelerator.device_count()), device_type=_get_accelerator_type()):
            torch.manual_seed(0)
            random.seed(0)
            if numpy:
                numpy.random.seed(0)
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


def _get_accelerator_type() -> str:
    """Name the kind of accelerator whose random states torch seeds; with no such device, no state is touched."""
    accelerator = torch.accelerator.current_accelerator()
    return accelerator.type if accelerator else "cuda"
