"""From a composed config to what it describes, checked before anything trains."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, ListConfig
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy

from frame_core import Optimization
from frame_loggers import FileLogger
from frame_train.callbacks import (
    CumulativeLogCallback,
    EvaluationCallback,
    StopOnSignal,
    TrainDurationCallback,
)
from frame_train.composition.objects import Composition, construct_target, trace_in
from frame_train.distributed.launcher import check_processes
from frame_train.errors import CompositionError, raise_any, suggest
from frame_train.experiment.dry_run import find_networks, make_optimizers, try_loss
from frame_train.optimization.drivers import remember_that_there_is_none
from frame_train.optimization.module import Procedure
from frame_train.optimization.profiling import NoProfiler

_OPTIONAL_CALLBACKS = {"enable_checkpointing": Checkpoint, "enable_progress_bar": ProgressBar}

_KINDS: dict[str, type] = {"callbacks": Callback, "evaluation": Callback, "logger": Logger}
_RESERVED_NAMES = ("time", "seconds", "trainer/global_step", "Train")
_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_NO_LOOP = "there is no loop of validation or test; each evaluation has `evaluate_every`"
_NOT_FOR_THE_TRAINER = {
    "logger": "loggers stand under `logger:`, and `logging=none` leaves all out",
    "callbacks": "callbacks stand under `callbacks:`",
    "default_root_dir": "`device.runs_root` says where runs are written",
    "fast_dev_run": "`trainer.max_steps=2` tries an experiment, `train --check` without its data",
    "log_every_n_steps": "`callbacks.training_log.log_every` says how often quantities are logged",
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


@dataclass(frozen=True)
class Experiment:
    """What a config composes: a procedure, the trainer that runs it, the log that is always written, what stops it."""

    optimization: LightningModule
    trainer: Trainer
    file_logger: FileLogger
    stop: StopOnSignal


@dataclass
class Parts:
    """What of a config could be built: the rest is None, or left out; callbacks and loggers by their keys."""

    optimization: LightningModule | None = None
    callbacks: dict[str, Callback] = field(default_factory=dict[str, Callback])
    loggers: dict[str, Logger] = field(default_factory=dict[str, Logger])
    make_trainer: Callable[..., Trainer] | None = None


def build_experiment(config: DictConfig, directory: Path) -> Experiment:
    """Build the procedure, the evaluations, callbacks, loggers and the trainer of a config.

    Args:
        config: The composed config.
        directory: Where the run is written.

    Raises:
        CompositionError: Something can't be built, or does not fit the rest; the message names its key.
    """
    problems: list[CompositionError] = []
    composition = Composition()
    parts = build_parts(config, composition, problems)
    raise_any(problems)
    assert parts.optimization is not None  # nothing went wrong
    assert parts.make_trainer is not None
    raise_any([trace_in(config, problem) for problem in find_mismatches(parts)])
    try:
        try_loss(cast(Optimization, parts.optimization), find_networks(composition))
        make_optimizers(parts.optimization)
    except CompositionError as error:
        raise trace_in(config, error) from error
    file_logger = FileLogger(directory)
    stop = StopOnSignal()
    callbacks = {"stop": stop, **parts.callbacks}
    trainer = build_trainer(
        parts.make_trainer,
        callbacks,
        [file_logger, *parts.loggers.values()],
        directory,
        use_distributed_sampler=not isinstance(parts.optimization, Procedure),  # whose sampler knows of processes
    )
    check_trainer(parts.optimization, trainer)
    check_processes(trainer)
    if isinstance(parts.optimization, Procedure):
        parts.optimization.choose_trips(trainer)
    if isinstance(trainer.strategy, DDPStrategy) and not parts.optimization.automatic_optimization:
        options = trainer.strategy._ddp_kwargs  # pyright: ignore[reportPrivateUsage]
        options.setdefault("find_unused_parameters", True)  # the loss of one optimizer leaves out what another has
    remember_that_there_is_none()
    return Experiment(parts.optimization, trainer, file_logger, stop)


def build_parts(config: DictConfig, composition: Composition, problems: list[CompositionError]) -> Parts:
    """Build each part of an experiment, and note what can't be built."""
    seed_everything(config.seed, workers=True, verbose=False)
    parts = Parts()

    def build(key: str, node: Any) -> Any:
        try:
            return composition.instantiate(node)
        except CompositionError as error:
            problems.append(error)

    def find(group: str) -> dict[str, Any]:
        try:
            return _by_key(config, group)
        except CompositionError as error:
            problems.append(error)
            return {}

    optimization = build("optimization", config.optimization)
    if isinstance(optimization, LightningModule) and isinstance(optimization, Optimization):
        parts.optimization = optimization
    elif optimization is not None:
        message = f"`optimization` must be a LightningModule with `model`, `data` and `counters`, got {optimization!r}."
        problems.append(CompositionError(message, "optimization"))
    for group, place in (("callbacks", parts.callbacks), ("evaluation", parts.callbacks), ("logger", parts.loggers)):
        for key, node in find(group).items():
            component = build(key, node)
            kind = _KINDS[group]
            if isinstance(component, kind):
                place[key] = component
            elif component is not None:
                message = f"`{key}` must be a {kind.__name__}, got {_describe(node)}; `~{key}` leaves it out."
                problems.append(CompositionError(message, key))
    if config.train_for is not None:
        try:
            arguments = {"train_for": config.train_for}
            parts.callbacks["train_for"] = construct_target(TrainDurationCallback, (), arguments, "train_for")
        except CompositionError as error:
            problems.append(error)
    parts.make_trainer = build("trainer", config.trainer)
    return parts


def find_mismatches(parts: Parts) -> list[CompositionError]:
    """Find what would fail in training: a name used twice, a unit, a capability, a split, a metric.

    Args:
        parts: What was built.
    """
    problems: list[CompositionError] = []
    if parts.optimization is not None:
        problems += _check("optimization", parts.optimization)
        for key, callback in parts.callbacks.items():
            problems += _check(key, callback, parts.optimization)
    return [
        *problems,
        *_find_names_used_twice(parts.callbacks),
        *find_unknown_metrics(parts.callbacks, list_logged(parts.callbacks)),
    ]


def find_misfits(callbacks: Mapping[str, Callback], optimization: Optimization) -> list[CompositionError]:
    """Find the evaluations that ask for what a model or its data do not have, whatever the procedure counts."""
    return [
        problem
        for key, callback in callbacks.items()
        for problem in _check(key, callback, optimization, method="check_evaluator")
    ]


def list_logged(callbacks: Mapping[str, Callback]) -> list[str]:
    """List the names under which callbacks log."""
    logging = [callback for callback in callbacks.values() if isinstance(callback, EvaluationCallback)]
    cumulative = any(isinstance(callback, CumulativeLogCallback) for callback in callbacks.values())
    return [*(callback.name for callback in logging), *(["Train"] if cumulative else [])]


def find_unlogged(key: str, metric: str, names: Sequence[str]) -> list[CompositionError]:
    """Find whether a metric is one that nothing logs: no number under one of the names, nor below it."""
    metric = str(metric)
    if any(metric == name or metric.startswith(f"{name}/") for name in names):
        return []
    message = f"`{key}`: nothing logs {metric!r}; what is logged: {', '.join(map(repr, names))}."
    return [CompositionError(message + suggest(metric, names), key)]


def find_unknown_metrics(callbacks: Mapping[str, Callback], names: Sequence[str]) -> list[CompositionError]:
    """Find the metrics that callbacks, Lightning's own too, monitor and nothing logs.

    Args:
        callbacks: The callbacks by their keys.
        names: The names under which something is logged.
    """
    return [
        problem
        for key, callback in callbacks.items()
        if getattr(callback, "monitor", None) is not None
        for problem in find_unlogged(f"{key}.monitor", cast(Any, callback).monitor, names)
    ]


def check_trainer(optimization: LightningModule, trainer: Trainer) -> None:
    """Let a procedure say what it can't do of what a trainer asks for.

    Raises:
        CompositionError: There is such a thing.
    """
    raise_any(_check("trainer", optimization, trainer, method="check_trainer"))


def build_trainer(
    make_trainer: Callable[..., Trainer],
    callbacks: Mapping[str, Callback],
    loggers: Sequence[Logger],
    directory: Path,
    **others: Any,
) -> Trainer:
    """Build the trainer with the callbacks that the config lists, less those that the trainer is told not to have.

    Args:
        make_trainer: The trainer of the config, still to be called.
        callbacks: The callbacks by their keys.
        loggers: The loggers.
        directory: Where the run is written.
        others: Arguments of the trainer that are other than the config says.

    Raises:
        CompositionError: The trainer can't be built.
    """
    told = cast(functools.partial[Trainer], make_trainer).keywords
    problems = [
        CompositionError(f"`trainer.{option}` is not for the Trainer here: {instead}.", f"trainer.{option}")
        for option, instead in _NOT_FOR_THE_TRAINER.items()
        if told.get(option) is not None
    ]
    raise_any(problems)
    devices = told.get("devices", "auto")
    if devices == 0 or (isinstance(devices, int) and devices < -1):
        message = "`trainer.devices` must be a positive number, a list of devices, -1 for all or 'auto', got"
        raise CompositionError(f"{message} {devices!r}.", "trainer.devices")
    strategy = told.get("strategy", "auto")
    if isinstance(strategy, str) and strategy not in _STRATEGIES:
        choices = ", ".join(map(repr, _STRATEGIES))
        message = f"`trainer.strategy` must be one of {choices}, got {strategy!r}."
        if strategy.startswith("fsdp"):
            message += " Each process must have the whole model: evaluations, averages and checkpoints here look at it."
        raise CompositionError(message, "trainer.strategy")
    unwanted = tuple(kind for option, kind in _OPTIONAL_CALLBACKS.items() if told.get(option) is False)
    listed = [callback for callback in callbacks.values() if not isinstance(callback, unwanted)]
    arguments: dict[str, Any] = {
        "callbacks": listed,
        "logger": loggers,
        "default_root_dir": directory,
        "profiler": told.get("profiler") or NoProfiler(),
        **others,
        **{
            option: any(isinstance(callback, kind) for callback in listed)
            for option, kind in _OPTIONAL_CALLBACKS.items()
        },
    }
    if "train_for" in callbacks:  # it alone decides how long
        arguments.update(max_epochs=-1, max_steps=-1, max_time=None, min_epochs=None, min_steps=None)
    try:
        return construct_target(make_trainer, (), arguments, "trainer")
    except CompositionError as error:
        if told.get("accelerator") in ("auto", "cpu", None):
            raise
        message = f"`trainer.accelerator` is {told['accelerator']!r}, and this machine: {error.__cause__}"
        raise CompositionError(f"{message} `device=default` runs on any machine.", "trainer.accelerator") from error


def _by_key(config: DictConfig, group: str) -> dict[str, Any]:
    """Name each node of a group, a mapping or a list, by its key; what was set to null is left out."""
    nodes = config[group]
    if nodes is not None and not isinstance(nodes, DictConfig | ListConfig):
        raise CompositionError(f"`{group}` must be a mapping of names to components, got {nodes!r}.", group)
    if nodes is None:
        return {}
    names: Sequence[Any] = range(len(nodes)) if isinstance(nodes, ListConfig) else list(nodes)
    return {f"{group}.{name}": nodes[name] for name in names if nodes[name] is not None}


def _describe(node: Any) -> str:
    """Say what a node describes that is none of what it should be."""
    if not isinstance(node, DictConfig):
        return repr(node)
    return f"`{node['_target_']}`" if "_target_" in node else f"{', '.join(map(str, node))} without a `_target_`"


def _check(key: str, component: Any, *arguments: Any, method: str = "check") -> list[CompositionError]:
    """Let a component that can check itself do so."""
    check = getattr(component, method, None)
    try:
        if check is not None:
            check(*arguments)
    except (TypeError, ValueError) as error:
        return [CompositionError(f"`{key}`: {error}", key)]
    return []


def _find_names_used_twice(callbacks: Mapping[str, Callback]) -> list[CompositionError]:
    """Find evaluations under the name of another, or of the training quantities."""
    problems: list[CompositionError] = []
    keys_by_name: dict[str, str] = {}
    for key, callback in callbacks.items():
        if isinstance(callback, EvaluationCallback):
            other = keys_by_name.setdefault(callback.name, key)
            if other != key:
                message = f"`{key}.name`: {callback.name!r} is the name of `{other}` too."
                problems.append(CompositionError(message, f"{key}.name"))
            elif callback.name in _RESERVED_NAMES:
                message = f"`{key}.name`: {callback.name!r} is the name of what every entry has; choose another."
                problems.append(CompositionError(message, f"{key}.name"))
    return problems
