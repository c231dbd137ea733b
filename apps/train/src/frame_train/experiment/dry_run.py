"""A model's first loss, gradients and evaluations, on two data."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from frame_core import (
    LogEntry,
    Model,
    Optimization,
    SizedDataset,
    get_batch,
    get_split,
    name_numbers,
    run_evaluation,
    undisturbed,
)
from frame_train.callbacks import EvaluationCallback
from frame_train.composition.objects import Composition
from frame_train.data.augmentation import augment
from frame_train.errors import CompositionError
from frame_train.optimization.module import Procedure


@dataclass(frozen=True)
class View:
    """What stands in for an optimization: a model and data."""

    model: Model
    data: Mapping[str, SizedDataset]
    counters: Mapping[str, int]


def try_loss(optimization: Optimization, keys: Mapping[nn.Module, str]) -> None:
    """Compute the loss of two training data, and leave everything as it was.

    Args:
        optimization: What has the model and the data.
        keys: The key of each network that the config describes.

    Raises:
        CompositionError: It can't be computed: networks do not fit one another, say.
    """
    with undisturbed(optimization.model), torch.enable_grad():
        _compute_loss(optimization, keys)


def find_networks(composition: Composition) -> dict[nn.Module, str]:
    """Find the networks that were built, each with its key."""
    return {part: key for key, part in composition.list_built().items() if isinstance(part, nn.Module)}


def try_training(procedure: LightningModule, keys: Mapping[nn.Module, str]) -> list[CompositionError]:
    """Find what is wrong with the loss of two training data and its gradient.

    The gradients stay in the parameters.

    Args:
        procedure: The procedure.
        keys: The key of each network that the config describes.
    """
    model = cast(Optimization, procedure).model
    model.train()
    try:
        loss = _compute_loss(cast(Optimization, procedure), keys)
        if not bool(loss.isfinite().all()):
            message = f"`optimization`: the loss of two training data is {loss.detach().tolist()}."
            return [CompositionError(message, "optimization")]
        loss.backward()
    except CompositionError as error:
        return [error]
    except RuntimeError as error:
        return [CompositionError(f"`optimization`: the loss has no gradient: {error}", "optimization")]
    return _find_without_gradient(model)


def try_optimizers(procedure: LightningModule) -> list[CompositionError]:
    """Find what is wrong with the optimizers: the parameters that belong to none of them, or to more than one."""
    try:
        return _find_unoptimized(procedure, make_optimizers(procedure))
    except CompositionError as error:
        return [error]


def try_evaluations(
    procedure: LightningModule, callbacks: Mapping[str, Callback]
) -> tuple[list[CompositionError], list[str]]:
    """Find the evaluations that fail, and the full names of the numbers that the others give.

    One that fails on two data may need more: it is tried again on a hundred.
    """
    problems: list[CompositionError] = []
    numbers: list[str] = []
    for key, callback in callbacks.items():
        if isinstance(callback, EvaluationCallback):
            try:
                numbers += name_numbers(callback.name, _evaluate(callback, procedure, n_data=2))
            except Exception:
                try:
                    numbers += name_numbers(callback.name, _evaluate(callback, procedure, n_data=100))
                except Exception as error:
                    message = f"`{key}` ({type(callback.evaluator).__name__}): {describe_error(error)}"
                    problems.append(CompositionError(message, f"{key}.evaluator"))
    return problems, numbers


def _evaluate(callback: EvaluationCallback, procedure: LightningModule, n_data: int) -> LogEntry:
    optimization = cast(Optimization, procedure)
    data = {name: _FirstData(data_set, n_data) for name, data_set in optimization.data.items()}
    return run_evaluation(callback.evaluator, View(optimization.model, data, optimization.counters))


class _FirstData:
    """The first data of a data set."""

    def __init__(self, data_set: SizedDataset, n_data: int) -> None:
        self._data_set = data_set
        self._n_data = n_data

    def __len__(self) -> int:
        return min(self._n_data, len(self._data_set))

    def __getitem__(self, index: int) -> Any:
        return self._data_set[index]

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        return get_batch(self._data_set, indices)


def make_optimizers(procedure: LightningModule) -> list[Optimizer]:
    """Make the optimizers of a procedure, and the schedules of their learning rates.

    Raises:
        CompositionError: They can't be made.
    """
    try:
        return list(_iterate_optimizers(procedure.configure_optimizers()))
    except Exception as error:
        message = f"`optimization`: the optimizer can't be made: {error}"
        raise CompositionError(message, "optimization") from error


def _compute_loss(optimization: Optimization, keys: Mapping[nn.Module, str]) -> Tensor:
    data_set = get_split(optimization.data, "train")
    calls: list[tuple[str, str]] = []
    try:
        with _traced_calls(keys, calls):
            batch = get_batch(data_set, torch.arange(min(2, len(data_set))))
            if isinstance(optimization, Procedure) and optimization.augmentation is not None:
                augment(batch, optimization.augmentation)
            return optimization.model.compute_loss(batch, 0)["loss"]
    except Exception as error:
        key, given = calls[-1] if calls else (keys.get(optimization.model, "optimization"), "")
        message = f"`{key}`{given}: the loss of two training data can't be computed: {describe_error(error)}"
        raise CompositionError(message, key) from error


def describe_error(error: Exception) -> str:
    """Give the message of an error, with its type where the message alone says little."""
    return f"{type(error).__name__}: {error}" if isinstance(error, KeyError | AttributeError) else str(error)


@contextmanager
def _traced_calls(keys: Mapping[nn.Module, str], calls: list[tuple[str, str]]) -> Generator[None]:
    """Keep the calls of networks that have not come back: key, and shapes of what was given."""

    def enter(network: nn.Module, arguments: tuple[Any, ...]) -> None:
        shapes = ", ".join(str(tuple(value.shape)) for value in arguments if isinstance(value, Tensor))
        calls.append((keys[network], f" was given {shapes}" if shapes else ""))

    def leave(network: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        calls.pop()

    hooks = [
        hook
        for network in keys
        for hook in (network.register_forward_pre_hook(enter), network.register_forward_hook(leave))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _iterate_optimizers(configured: Any) -> Iterator[Optimizer]:
    """Go through the optimizers in any of the forms that Lightning takes."""
    if isinstance(configured, Optimizer):
        yield configured
    elif isinstance(configured, Mapping):
        yield from _iterate_optimizers(cast(Mapping[str, Any], configured)["optimizer"])
    elif isinstance(configured, list | tuple):
        for part in cast(Iterable[Any], configured):
            yield from _iterate_optimizers(part)


def _find_unoptimized(model: nn.Module, optimizers: Iterable[Optimizer]) -> list[CompositionError]:
    """Find the trainable parameters that belong to no optimizer, or to more than one."""
    counts: dict[int, int] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                counts[id(parameter)] = counts.get(id(parameter), 0) + 1
    trainable = {
        name.removeprefix("model."): counts.get(id(part), 0)
        for name, part in model.named_parameters()
        if part.requires_grad
    }
    without = [name for name, count in trainable.items() if count == 0]
    shared = [name for name, count in trainable.items() if count > 1]
    return [
        *_name_parameters(without, "belong to no optimizer; freeze them with `requires_grad_(False)` if that is meant"),
        *_name_parameters(shared, "belong to more than one optimizer"),
    ]


def _find_without_gradient(model: Model) -> list[CompositionError]:
    """Find the trainable parameters that the loss does not depend on."""
    names = [name for name, part in model.named_parameters() if part.requires_grad and part.grad is None]
    return _name_parameters(names, "get no gradient from the loss; freeze them or leave their component out")


def _name_parameters(names: list[str], what: str) -> list[CompositionError]:
    if not names:
        return []
    listed = ", ".join(f"`{name}`" for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return [CompositionError(f"`optimization`: the parameters {listed} {what}.", "optimization")]
