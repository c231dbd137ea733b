"""Evaluations of an optimization, which leave the training unchanged."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import nn

from frame_core.data import get_split
from frame_core.log_entry import LogEntry
from frame_core.models import Model, find_missing_methods
from frame_core.optimization import Optimization
from frame_core.seeding import seeded


class Evaluation(ABC):
    """A measurement or visualization of the current state of an optimization.

    `run_evaluation` runs it and restores the state of the training afterwards. `evaluate` is called with the
    model in eval mode and gradients disabled, and may draw random numbers freely.
    """

    requires: ClassVar[type[nn.Module]] = nn.Module
    """The capability that the model must have, such as `GenerativeModel`; any module by default."""

    evaluate_on: str = ""
    """The split of the data that it reads, or an empty string if it reads no split."""

    def check(self, optimization: Optimization) -> None:  # noqa: B027  # optional: most need no check of their own
        """Check further requirements of the evaluation, reading at most one example.

        `check_requirements` calls it after it has checked the capability of the model and the split of the data.

        Raises:
            TypeError: A requirement has the wrong type.
            ValueError: A requirement is missing.
        """

    @abstractmethod
    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Compute a log entry from the current state of an optimization."""


def check_requirements(evaluation: Evaluation, optimization: Optimization) -> None:
    """Check that an optimization meets the requirements of an evaluation.

    These are the capability of the model, the split of the data, and what `Evaluation.check` checks.

    Raises:
        TypeError: The model lacks the capability, or `Evaluation.check` raises it.
        ValueError: The split is missing or empty, or `Evaluation.check` raises it.
    """
    model, capability = type(optimization.model), evaluation.requires
    if not issubclass(model, capability):
        missing = find_missing_methods(model, capability) if issubclass(capability, Model) else []
        reason = f": it has no {' and no '.join(f'`{method}`' for method in missing)}" if missing else ""
        raise TypeError(
            f"`{type(evaluation).__name__}` needs a `{capability.__name__}`, and `{model.__name__}` is not one{reason}."
        )
    if evaluation.evaluate_on:
        get_split(optimization.data, evaluation.evaluate_on)
    with undisturbed(optimization.model):  # reading an example may draw random numbers
        evaluation.check(optimization)


def run_evaluation(evaluation: Evaluation, optimization: Optimization) -> LogEntry:
    """Run an evaluation, then restore the mode of every module, the grad mode and every random state.

    The evaluation starts from random seed 0. Its result therefore depends on the optimization only, and two
    results differ only by the training in between.

    Raises:
        TypeError: `check_requirements` raises it, or the evaluation does not return a `LogEntry`.
        ValueError: `check_requirements` raises it.
    """
    check_requirements(evaluation, optimization)
    with undisturbed(optimization.model):
        entry = evaluation.evaluate(optimization)
    if not isinstance(entry, LogEntry):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"`{type(evaluation).__name__}.evaluate` must return a `LogEntry`, got a {type(entry).__name__}."
        )
    return entry


@contextmanager
def undisturbed(model: nn.Module) -> Generator[None]:
    """Switch to eval mode, disable gradients and set random seed 0; restore all three on exit."""
    training = {module: module.training for module in model.modules()}
    with torch.no_grad(), seeded(0):
        model.eval()
        try:
            yield
        finally:
            for module, mode in training.items():
                module.training = mode
