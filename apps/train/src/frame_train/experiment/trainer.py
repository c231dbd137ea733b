"""The trainer of an experiment."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar

from frame_train.callbacks.plain_module import PlainModuleSupport
from frame_train.composition.objects import construct_target
from frame_train.errors import CompositionError, raise_any, suggest
from frame_train.experiment.compatibility import run_check
from frame_train.experiment.parts import Parts
from frame_train.optimization.lightning_internals import NoProfiler, skip_empty_hooks
from frame_train.optimization.module import OptimizationModule

_OPTIONAL_CALLBACKS = {"enable_checkpointing": Checkpoint, "enable_progress_bar": ProgressBar}

_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_NO_LOOP = "There is no validation or test loop: each evaluation has its own `evaluate_every`"
_NOT_FOR_THE_TRAINER = {
    "logger": "Loggers belong under `logger:`, and `logging=none` removes all of them",
    "callbacks": "Callbacks belong under `callbacks:`",
    "default_root_dir": "`device.experiments_root` is the folder of the runs",
    "fast_dev_run": "Try an experiment with `trainer.max_steps=2`, or without its data with `train --check`",
    "log_every_n_steps": "`callbacks.training_log.log_every` sets how often quantities are logged",
    **dict.fromkeys(
        (
            "limit_val_batches",
            "limit_test_batches",
            "limit_predict_batches",
            "val_check_interval",
            "check_val_every_n_epoch",
        ),
        _NO_LOOP,
    ),
}


def build_trainer(parts: Parts, **others: Any) -> Trainer:
    """Build the trainer with the callbacks and loggers of an experiment, except those that the trainer excludes.

    Args:
        parts: The parts of the experiment.
        others: Arguments of the trainer that replace those of the config.

    Raises:
        CompositionError: The trainer can't be built, or the optimization does not support its options.
    """
    make_trainer = cast(functools.partial[Trainer], parts.make_trainer)
    given = make_trainer.keywords
    raise_any(_find_wrong_arguments(given))
    unwanted = tuple(kind for option, kind in _OPTIONAL_CALLBACKS.items() if given.get(option) is False)
    listed = [callback for callback in parts.callbacks.values() if not isinstance(callback, unwanted)]
    if parts.module is not None and not isinstance(parts.module, OptimizationModule):
        listed.append(PlainModuleSupport(parts.module))
    arguments: dict[str, Any] = {
        "callbacks": listed,
        "logger": list(parts.loggers.values()),
        "default_root_dir": parts.directory,
        "profiler": given.get("profiler") or NoProfiler(),
        **others,
        **{
            option: any(isinstance(callback, kind) for callback in listed)
            for option, kind in _OPTIONAL_CALLBACKS.items()
        },
    }
    overfit_batches = given.get("overfit_batches")
    if overfit_batches and isinstance(parts.module, OptimizationModule):
        try:
            parts.module.overfit(overfit_batches)
        except (TypeError, ValueError) as error:
            raise CompositionError(f"`trainer.overfit_batches`: {error}", "trainer.overfit_batches") from error
        arguments["overfit_batches"] = 0.0
    if "train_for" in parts.callbacks:  # nothing else ends training
        arguments.update(max_epochs=-1, max_steps=-1, max_time=None, min_epochs=None, min_steps=None)
    try:
        trainer = construct_target(make_trainer, (), arguments, "trainer")
    except CompositionError as error:
        if given.get("accelerator") in ("auto", "cpu", None):
            raise
        message = f"`trainer.accelerator`: {given['accelerator']!r} is not available on this machine: {error.__cause__}"
        raise CompositionError(f"{message} `device=default` runs on any machine.", "trainer.accelerator") from error
    skip_empty_hooks(trainer)
    if given.get("sync_batchnorm") and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        raise CompositionError(
            "`trainer.sync_batchnorm` needs GPUs, because torch can't synchronize batch normalization on CPUs.",
            "trainer.sync_batchnorm",
        )
    raise_any(run_check("trainer", parts.module, trainer, method="check_trainer"))
    return trainer


def count_processes(given: Mapping[str, Any]) -> int | None:
    """Return the number of processes for arguments of the Trainer; None if only the machine that trains knows it."""
    n_devices = _count_devices(given.get("devices") or "auto", given.get("accelerator") or "auto")
    n_nodes = given.get("num_nodes", 1)
    return n_devices * n_nodes if n_devices and isinstance(n_nodes, int) and n_nodes > 0 else None


def _count_devices(devices: Any, accelerator: Any) -> int | None:
    if isinstance(devices, str) and "," in devices:
        devices = [index for index in devices.split(",") if index.strip()]
    if isinstance(devices, list):
        return len(cast(list[Any], devices))
    if devices not in ("auto", -1, "-1"):
        return int(devices) if str(devices).isdecimal() else None
    n_accelerators = 0 if accelerator == "cpu" else torch.accelerator.device_count()
    return n_accelerators or (1 if accelerator in ("auto", "cpu") else None)


def _find_wrong_arguments(given: Mapping[str, Any]) -> Iterator[CompositionError]:
    """Find arguments of the Trainer that belong to another key, or whose value is not supported."""
    for name, instead in _NOT_FOR_THE_TRAINER.items():
        if given.get(name) is not None:
            yield CompositionError(f"`trainer.{name}` can't be set. {instead}.", f"trainer.{name}")
    batches, norm = given.get("accumulate_grad_batches", 1), given.get("gradient_clip_val")
    if isinstance(batches, int) and batches < 1:
        message = f"`trainer.accumulate_grad_batches` must be at least 1, got {batches!r}."
        yield CompositionError(message, "trainer.accumulate_grad_batches")
    if isinstance(norm, int | float) and not norm >= 0:  # also NaN
        message = f"`trainer.gradient_clip_val` must be non-negative, or null for no clipping, got {norm!r}."
        yield CompositionError(message, "trainer.gradient_clip_val")
    accelerator = given.get("accelerator")
    if isinstance(accelerator, str) and accelerator not in _ACCELERATORS:
        message = f"`trainer.accelerator` must be one of {', '.join(map(repr, _ACCELERATORS))}, got {accelerator!r}."
        yield CompositionError(f"{message}{suggest(accelerator, _ACCELERATORS)}", "trainer.accelerator")
    devices = given.get("devices", "auto")
    is_text = isinstance(devices, str) and re.fullmatch(r"auto|-1|\d+(,\s*\d+)*,?", devices) is None
    named = devices if isinstance(devices, list) else re.findall(r"\d+", devices) if isinstance(devices, str) else [0]
    is_twice = len({str(device) for device in named}) < len(named)
    if is_text or is_twice or devices in ([], 0, "0") or (isinstance(devices, int) and devices < -1):
        message = "`trainer.devices` must be a positive number, a list of different devices, -1 for all or 'auto', got"
        yield CompositionError(f"{message} {devices!r}.", "trainer.devices")
    strategy = given.get("strategy", "auto")
    if isinstance(strategy, str) and strategy not in _STRATEGIES:
        choices = ", ".join(map(repr, _STRATEGIES))
        message = f"`trainer.strategy` must be one of {choices}, got {strategy!r}."
        if strategy.startswith("fsdp"):
            message += " `frame_train.optimization.ShardedStrategy` shards a model: docs/scale.md."
        yield CompositionError(message, "trainer.strategy")
