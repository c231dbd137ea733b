"""Optimizers with groups of parameters, and checks of the trainer's options that they support."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import accumulate, islice
from typing import Any

from lightning_fabric.utilities.types import Optimizable
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.plugins import MixedPrecision
from torch import nn
from torch.optim import LBFGS, Optimizer

from frame_train.errors import CompositionError, suggest

_N_SHOWN = 4

Groups = Mapping[str, Mapping[str, Any]]
"""Options of an optimizer by a pattern of parameter names, such as ``{"encoder.*": {"lr": 1e-4}}``."""


def list_trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a module that are not frozen."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def clear_gradients(optimizer: LightningOptimizer) -> None:
    """Set the gradients of the parameters of an optimizer to None.

    Torch's `zero_grad` does the same and records it for a profiler, which takes ten times as long for a small network.
    An optimizer with a method of its own keeps it.
    """
    inner = optimizer.optimizer
    if type(inner).zero_grad is not Optimizer.zero_grad:
        inner.zero_grad()
        return
    for group in inner.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def make_optimizer(make: Callable[[Iterable[Any]], Optimizer], model: nn.Module, groups: Groups) -> Optimizer:
    """Make the optimizer of the trainable parameters of a model, with its own options for groups of them.

    Args:
        make: Function that makes the optimizer of parameters, or of groups of them.
        model: The model.
        groups: Options by pattern. A parameter takes the options of every pattern that its name matches. Later patterns
            take precedence.

    Raises:
        ValueError: A pattern matches no trainable parameter, or the optimizer does not have an option.
    """
    if not groups:
        return make(list_trainable(model))
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for pattern in groups:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            raise ValueError(
                f"`groups`: no trainable parameter matches {pattern!r}.{_suggest_pattern(pattern, parameters)}"
            )
    by_options: dict[tuple[tuple[str, Any], ...], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        options = {
            key: value for pattern in groups if fnmatchcase(name, pattern) for key, value in groups[pattern].items()
        }
        by_options.setdefault(tuple(options.items()), []).append(parameter)
    optimizer = make([{"params": members, **dict(options)} for options, members in by_options.items()])
    for name in {name for options in groups.values() for name in options}:
        if name not in optimizer.defaults:
            listed = ", ".join(f"`{known}`" for known in optimizer.defaults)
            hint = suggest(name, optimizer.defaults) or f" It has {listed}."
            raise ValueError(f"`groups`: `{type(optimizer).__name__}` has no option `{name}`.{hint}")
    return optimizer


def _suggest_pattern(pattern: str, names: Iterable[str]) -> str:
    """Suggest the name of a parameter, or the pattern of a part of the model, that is most similar to a pattern."""
    parts = {f"{part}.*" for name in names for part in accumulate(name.split(".")[:-1], "{}.{}".format)}
    shown = ", ".join(f"`{name}`" for name in islice(names, _N_SHOWN))
    return suggest(pattern, [*names, *parts]) or f" The parameters are {shown}, …."


def check_optimizers(optimizers: Iterable[Optimizable], module: LightningModule, trainer: Trainer) -> None:
    """Check that the optimizers of a module support the options of a trainer.

    Raises:
        CompositionError: An optimizer does not support an option.
    """
    if module.automatic_optimization:
        problems = [_find_problem(optimizer, trainer) for optimizer in optimizers]
    else:
        problems = [_find_manual_problem(trainer)]
    for option, explanation in filter(None, problems):
        raise CompositionError(f"`trainer.{option}` {explanation}", f"trainer.{option}")


def _find_manual_problem(trainer: Trainer) -> tuple[str, str] | None:
    """Find an option of the trainer that manual optimization does not support, and explain it."""
    if trainer.gradient_clip_val:
        return "gradient_clip_val", (
            f"must be null for manual optimization, got {trainer.gradient_clip_val!r}. Call `self.clip_gradients` in "
            "`training_step` to clip gradients."
        )
    if trainer.accumulate_grad_batches != 1:
        return "accumulate_grad_batches", (
            f"must be 1 for manual optimization, got {trainer.accumulate_grad_batches!r}. Use a larger `batch_size`."
        )
    return None


def _find_problem(optimizer: Optimizable, trainer: Trainer) -> tuple[str, str] | None:
    """Find an option of the trainer that an optimizer does not support, and explain it."""
    clip, accumulate, n_processes = trainer.gradient_clip_val, trainer.accumulate_grad_batches, trainer.world_size
    name, is_lbfgs = type(optimizer).__name__, isinstance(optimizer, LBFGS)
    is_fused = bool(getattr(optimizer, "_step_supports_amp_scaling", False))
    if clip and is_fused and isinstance(trainer.precision_plugin, MixedPrecision):
        return "gradient_clip_val", (
            f"must be null for a fused `{name}` in mixed precision, got {clip!r}. Or set its `fused: false`."
        )
    if is_lbfgs and accumulate != 1:
        return "accumulate_grad_batches", (
            f"must be 1 for `{name}`, which computes the loss of a batch several times, got {accumulate!r}. Use a "
            "larger `batch_size`."
        )
    if is_lbfgs and n_processes > 1:
        return "devices", (
            f"must be 1 for `{name}`, because the processes would compute the loss different numbers of times, got "
            f"{n_processes} processes."
        )
    if is_lbfgs and trainer.precision == "16-mixed":
        return "precision", f"must not be '16-mixed' for `{name}`, which can't scale the loss. Use 'bf16-mixed'."
    return None
