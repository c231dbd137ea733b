"""Dry run of an experiment: the loss, its gradients, the optimizers and the evaluations, on two examples."""

import numbers
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import FrozenInstanceError, replace
from functools import cached_property
from random import Random
from typing import Any, cast

import torch
from lightning_fabric.utilities.types import Optimizable
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch import Tensor, nn

from frame_core import (
    Evaluation,
    EvaluationView,
    LogEntry,
    Optimization,
    SizedDataset,
    get_batch,
    get_split,
    name_numbers,
    run_evaluation,
    undisturbed,
)
from frame_train.callbacks import EvaluationCallback
from frame_train.data.augmentation import augment
from frame_train.errors import CompositionError, collected, describe_error
from frame_train.experiment.compatibility import run_check
from frame_train.experiment.parts import Parts
from frame_train.optimization.adversarial import AdversarialOptimization
from frame_train.optimization.learning_rate import check_lengths
from frame_train.optimization.lightning_internals import attached, make_optimizers
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.optimizers import check_optimizers


def find_loss_problems(parts: Parts) -> list[CompositionError]:
    """Find mistakes in the loss of two training examples, without changing the model or the random states."""
    problems: list[CompositionError] = []
    if parts.subject is not None and _has_loss(parts.subject):
        with undisturbed(parts.subject.model), torch.enable_grad(), collected(problems):
            _compute_losses(parts.subject, parts.networks)
    return problems


def find_gradient_problems(parts: Parts) -> list[CompositionError]:
    """Find mistakes in the loss of two training examples and in its gradients, which remain in the parameters."""
    problems: list[CompositionError] = []
    if parts.subject is not None and _has_loss(parts.subject):
        with collected(problems):
            parts.subject.model.train()
            for loss in _compute_losses(parts.subject, parts.networks):
                _compute_gradients(loss)
            parameters = [(name, part) for name, part in parts.subject.model.named_parameters() if part.requires_grad]
            names = [name for name, part in parameters if part.grad is None]
            problems += _name_parameters(names, "get no gradient from the loss. Freeze them, or remove their component")
    return problems


def find_evaluation_problems(parts: Parts) -> Iterator[CompositionError]:
    """Find evaluations that fail, other than those that `find_mismatches` reports.

    If all succeed, `Parts.logged` then has the names of the numbers that they log.
    """
    if parts.subject is None:
        return
    logged: list[str] = []
    is_complete = True
    for key, callback in parts.callbacks.items():
        if not isinstance(callback, EvaluationCallback):
            continue
        if any(run_check(key, callback, parts.subject, method="check_evaluator")):
            is_complete = False
            continue
        try:
            logged += name_numbers(callback.name, _evaluate(callback, parts.subject))
        except Exception as error:
            is_complete = False
            problem = CompositionError(f"`{key}`: {describe_error(error)}", f"{key}.evaluator")
            problem.__cause__ = error
            yield problem
    if is_complete:
        parts.logged = [*logged, *(name for name in parts.logged if name == "Train")]


def find_optimizer_problems(parts: Parts) -> list[CompositionError]:
    """Find the reason why the optimizers can't be made, or do not support the options of the trainer."""
    problems: list[CompositionError] = []
    with collected(problems), _made_optimizers(parts) as (optimizers, schedules):
        if parts.module is not None and parts.trainer is not None:
            check_optimizers(optimizers, parts.module, parts.trainer)
            if parts.module.automatic_optimization:
                check_lengths(schedules, parts.trainer)
    return problems


def find_unoptimized(parts: Parts) -> list[CompositionError]:
    """Find trainable parameters that belong to no optimizer, or to more than one."""
    with _made_optimizers(parts) as (optimizers, _):
        counts = Counter(
            id(part) for optimizer in optimizers for group in optimizer.param_groups for part in group["params"]
        )
    if parts.module is None or not counts:  # without an optimizer, no parameter is meant to be trained
        return []
    trainable = {
        name.removeprefix("model."): counts[id(part)]
        for name, part in parts.module.named_parameters()
        if part.requires_grad
    }
    without = [name for name, count in trainable.items() if count == 0]
    shared = [name for name, count in trainable.items() if count > 1]
    return [
        *_name_parameters(
            without, "belong to no optimizer. If that is intended, freeze them with `requires_grad_(False)`"
        ),
        *_name_parameters(shared, "belong to more than one optimizer"),
    ]


def _has_loss(optimization: Optimization) -> bool:
    """Return whether the model computes a loss. In a user's own module, the module may compute it instead."""
    return hasattr(optimization.model, "compute_loss")


def _compute_losses(optimization: Optimization, networks: Mapping[nn.Module, str]) -> list[Tensor]:
    """Compute each loss that the optimization minimizes, of two training examples.

    Raises:
        CompositionError: A loss can't be computed, or the model violates the contract of `Model.compute_loss`.
    """
    model = optimization.model
    model_key = networks.get(model, "optimization")
    is_adversarial = isinstance(optimization, AdversarialOptimization)
    methods = ("compute_discriminator_loss", "compute_generator_loss") if is_adversarial else ("compute_loss",)
    calls: list[tuple[str, str]] = []
    batch = _read_examples(optimization)
    try:
        with _recorded_calls(networks, calls):
            if isinstance(optimization, OptimizationModule) and optimization.augmentation is not None:
                augment(batch, optimization.augmentation)
            computed: dict[str, Any] = {method: getattr(model, method)(batch, 0) for method in methods}
    except Exception as error:
        key, given = calls[-1] if calls else (model_key, "")
        message = f"`{key}`: the loss of two training examples can't be computed{given}: {describe_error(error)}"
        raise CompositionError(f"{message}{_advise_on_batch(error, batch)}", key) from error
    for method, quantities in computed.items():
        problem = _find_wrong_quantity(quantities)
        if problem:
            raise CompositionError(f"`{model_key}`: `{type(model).__name__}.{method}` {problem}", model_key)
    return [quantities["loss"] for quantities in computed.values()]


def _advise_on_batch(error: Exception, batch: Mapping[str, Any]) -> str:
    """Return how to read a batch or to write `compute_loss`, if an error comes from that; else an empty text."""
    if "compute_loss() takes" in str(error):
        return ". It is called as `compute_loss(data, data_idx)`."
    if isinstance(error, KeyError) or "'str' object" in str(error) or "unpack" in str(error):
        return f". A batch is a dictionary with {', '.join(map(repr, batch))}."
    return ""


def _find_wrong_quantity(quantities: Any) -> str:
    """Describe how the result of `compute_loss` violates its contract, in words that follow its name; empty if not."""
    if not isinstance(quantities, Mapping):
        return f"must return a dictionary with the tensor `loss`, got {_describe_value(quantities)}."
    values = cast(Mapping[Any, Any], quantities)
    if "loss" not in values:
        return f"must return a dictionary with the tensor `loss`, got {', '.join(map(repr, values)) or 'an empty one'}."
    loss = values["loss"]
    if not isinstance(loss, Tensor):
        return f"must return a tensor with a gradient as `loss`, got {_describe_value(loss)}."
    if loss.numel() != 1:
        return f"must return one number as `loss`, got shape {tuple(loss.shape)}. Take its mean over the batch."
    if not loss.requires_grad:
        return "returns a `loss` without a gradient: no trainable parameter leads to it, or it is detached."
    for name, value in values.items():
        if not isinstance(value, Tensor | numbers.Real):
            return f"must return tensors and numbers, got {_describe_value(value)} as {name!r}."
    return ""


def _describe_value(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"{value!r} of type {type(value).__name__}" if isinstance(value, numbers.Real) else type(value).__name__


def _read_examples(optimization: Optimization) -> dict[str, Any]:
    """Read two training examples."""
    try:
        data_set = get_split(optimization.data, "train")
        return get_batch(data_set, torch.arange(min(2, len(data_set))))
    except Exception as error:
        message = f"`data.train`: two examples can't be read: {describe_error(error)}"
        raise CompositionError(message, "data.train") from error


def _compute_gradients(loss: Tensor) -> None:
    if not bool(loss.isfinite().all()):
        message = f"`optimization`: the loss of two training examples is {loss.detach().tolist()}."
        raise CompositionError(message, "optimization")
    try:
        loss.backward()
    except RuntimeError as error:
        raise CompositionError(f"`optimization`: the loss has no gradient: {error}", "optimization") from error


@contextmanager
def _recorded_calls(networks: Mapping[nn.Module, str], calls: list[tuple[str, str]]) -> Generator[None]:
    """Record the calls of networks that have not returned: the key, and the shapes of the arguments."""

    def enter(network: nn.Module, arguments: tuple[Any, ...]) -> None:
        shapes = ", ".join(str(tuple(value.shape)) for value in arguments if isinstance(value, Tensor))
        calls.append((networks[network], f" for an input of shape {shapes}" if shapes else ""))

    def leave(network: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        calls.pop()

    hooks = [
        hook
        for network in networks
        for hook in (network.register_forward_pre_hook(enter), network.register_forward_hook(leave))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _evaluate(callback: EvaluationCallback, optimization: Optimization) -> LogEntry:
    """Run an evaluation on 2 examples. If it fails, try 100 and then 1,000, because it may need more."""
    for n_examples in (2, 100):
        with suppress(Exception):
            return _evaluate_few(n_examples, callback.evaluator, optimization)
    return _evaluate_few(1000, callback.evaluator, optimization)


def _evaluate_few(n_examples: int, evaluator: Evaluation, optimization: Optimization) -> LogEntry:
    """Run an evaluation on a few examples of each split, and on as many generated ones."""
    data = {name: _FewExamples(data_set, n_examples) for name, data_set in optimization.data.items()}
    n_samples = getattr(evaluator, "n_samples", None)
    if isinstance(n_samples, int):
        evaluator = _with_samples(evaluator, min(n_samples, n_examples))
    return run_evaluation(evaluator, EvaluationView(optimization.model, data, optimization.counters))


def _with_samples(evaluator: Any, n_samples: int) -> Evaluation:
    """Return a copy of an evaluation with another number of samples, or with its own if that can't be set."""
    changed = copy(evaluator)
    try:
        changed.n_samples = n_samples
    except FrozenInstanceError:
        with suppress(TypeError, ValueError):  # it is no argument, or is too small
            return replace(evaluator, n_samples=n_samples)
    except AttributeError:  # a property without a setter
        pass
    return changed


class _FewExamples:
    """Random examples of a data set, the same every time. The first ones of a sorted data set have one label."""

    def __init__(self, data_set: SizedDataset, n_examples: int) -> None:
        self._data_set = data_set
        self._n_examples = n_examples

    @cached_property
    def _indices(self) -> Tensor:  # a split that no evaluation reads may be null
        n_all = len(self._data_set)
        return torch.tensor(Random(0).sample(range(n_all), min(self._n_examples, n_all)), dtype=torch.long)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Any:
        return self._data_set[int(self._indices[index])]

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        return get_batch(self._data_set, self._indices[indices])


@contextmanager
def _made_optimizers(parts: Parts) -> Generator[tuple[Sequence[Optimizable], Sequence[LRSchedulerConfig]]]:
    """Make the optimizers and the schedules, with the optimization attached to the trainer for the block."""
    if parts.module is None or parts.trainer is None:
        yield [], []
        return
    with attached(parts.module, parts.trainer):
        try:
            made = make_optimizers(parts.module)
        except Exception as error:
            message = f"`optimization`: the optimizer can't be created: {describe_error(error)}"
            raise CompositionError(message, "optimization") from error
        yield made


def _name_parameters(names: Sequence[str], what: str) -> Iterator[CompositionError]:
    if names:
        listed = ", ".join(f"`{name}`" for name in names[:4])
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        yield CompositionError(f"`optimization`: the parameters {listed}{more} {what}.", "optimization")
