"""The parts of an experiment, built from its config."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import Logger
from torch import nn

from frame_core import Evaluation, Optimization
from frame_train.callbacks import CumulativeLogCallback, EvaluationCallback, TrainDurationCallback
from frame_train.composition.objects import Composition, get_key, read_entry
from frame_train.composition.unreadable import advise_defaults
from frame_train.errors import CompositionError, collected
from frame_train.optimization.progress import as_optimization


@dataclass
class Parts:
    """The parts of an experiment that can be built.

    Args:
        directory: The run directory.
        module: The optimization, as the module that the trainer runs.
        subject: The optimization, or its model and data if it can't be built.
        callbacks: The callbacks, including evaluations, by key.
        loggers: The loggers, by key.
        make_trainer: The trainer, without its callbacks and loggers.
        trainer: The trainer with its callbacks, once it is built.
        networks: The key of each network that the config describes.
        logged: Names of log entries. Once the evaluations have run, names of single numbers.
        problems: The reasons why other parts can't be built.
    """

    directory: Path = Path()
    module: LightningModule | None = None
    subject: Optimization | None = None
    callbacks: dict[str, Callback] = field(default_factory=dict[str, Callback])
    loggers: dict[str, Logger] = field(default_factory=dict[str, Logger])
    make_trainer: Callable[..., Trainer] | None = None
    trainer: Trainer | None = None
    networks: dict[nn.Module, str] = field(default_factory=dict[nn.Module, str])
    logged: list[str] = field(default_factory=list[str])
    problems: list[CompositionError] = field(default_factory=list[CompositionError])


Check = Callable[[Parts], Iterable[CompositionError]]
"""Function that finds mistakes in the parts of an experiment. It skips parts that can't be built."""


def run_checks(checks: Iterable[Check], parts: Parts) -> list[CompositionError]:
    """Run checks until one finds mistakes, and return its mistakes."""
    return next(filter(None, (list(check(parts)) for check in checks)), [])


def find_unbuilt(parts: Parts) -> list[CompositionError]:
    """Return the reasons why parts can't be built."""
    return parts.problems


def build_parts(config: DictConfig, composition: Composition) -> Parts:
    """Build each part of an experiment, and collect the mistakes of those that can't be built."""
    seed_everything(config.seed, workers=True, verbose=False)
    parts = Parts(Path(config.run.directory))
    with collected(parts.problems):
        optimization = composition.instantiate(config.optimization)
        problem = _find_module_problem(optimization)
        if problem:
            raise CompositionError(
                f"`optimization` must be a LightningModule with `model` and `data`{problem}", "optimization"
            )
        parts.module, parts.subject = optimization, as_optimization(optimization)
    build = partial(_build_group, config=config, composition=composition, problems=parts.problems)
    parts.callbacks = {**build("callbacks", Callback), **build("evaluation", Callback)}
    parts.loggers = build("logger", Logger)
    if config.train_for is not None:
        with collected(parts.problems):
            try:
                parts.callbacks["train_for"] = TrainDurationCallback(config.train_for)
            except ValueError as error:
                raise CompositionError(str(error), "train_for") from error
    with collected(parts.problems):
        parts.make_trainer = composition.instantiate(config.trainer)
    parts.networks = {part: get_key(node) for node, part in composition.list_built() if isinstance(part, nn.Module)}
    parts.logged = [part.name for part in parts.callbacks.values() if isinstance(part, EvaluationCallback)]
    if any(isinstance(callback, CumulativeLogCallback) for callback in parts.callbacks.values()):
        parts.logged.append("Train")
    return parts


def _find_module_problem(optimization: Any) -> str:
    """Describe what a user's own optimization lacks, in words that follow the expectation; empty if nothing."""
    kind = type(optimization)
    if isinstance(optimization, LightningModule):
        missing = [f"`self.{name}`" for name in ("model", "data") if not hasattr(optimization, name)]
        advice = "docs/migration/from_lightning.md shows a module of a script with both"
        return f", and `{kind.__name__}` has no {' and no '.join(missing)}. {advice}." if missing else ""
    if any(base.__module__.partition(".")[0] == "lightning" for base in kind.__mro__):
        advice = "Import it from `pytorch_lightning`, which is the same code"
        return f", and `{kind.__name__}` derives from that of the package `lightning`. {advice}."
    return f", got {optimization!r}."


def _build_group(
    group: str, kind: type, config: DictConfig, composition: Composition, problems: list[CompositionError]
) -> dict[str, Any]:
    """Build the components of a group, which is a mapping or a list, by key. Skip null."""
    nodes = config[group]
    if nodes is None:
        return {}
    if not isinstance(nodes, DictConfig | ListConfig):
        message = f"`{group}` must be a mapping of names to components, got {nodes!r}."
        problems.append(CompositionError(message, group))
        return {}
    names: Sequence[Any] = range(len(nodes)) if isinstance(nodes, ListConfig) else list(nodes)
    components: dict[str, Any] = {}
    for name in names:
        with collected(problems):
            node = read_entry(nodes, name)
            component = composition.instantiate(node)
            if isinstance(component, kind):
                components[f"{group}.{name}"] = component
            elif component is not None:
                message = f"`{group}.{name}` must be a {kind.__name__}, got {_describe(node)}."
                advice = f"`~{group}.{name}` removes it."
                if isinstance(component, str):
                    advice = advise_defaults(group, f"[{component}]")
                elif isinstance(component, Evaluation):
                    advice = "Make it the `evaluator` of a `frame_train.callbacks.EvaluationCallback`."
                raise CompositionError(f"{message} {advice}", f"{group}.{name}")
    return components


def _describe(node: Any) -> str:
    """Describe a node that is not a component of the expected kind."""
    if not isinstance(node, DictConfig):
        return repr(node)
    return f"`{node['_target_']}`" if "_target_" in node else f"only {', '.join(map(str, node))}, without a `_target_`"
