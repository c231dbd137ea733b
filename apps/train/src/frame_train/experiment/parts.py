"""The parts of an experiment, built from its config."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, ListConfig
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import Logger

from frame_core import Optimization
from frame_train.callbacks import TrainDurationCallback
from frame_train.composition.objects import Composition, construct_target
from frame_train.errors import CompositionError

_KINDS: dict[str, type] = {"callbacks": Callback, "evaluation": Callback, "logger": Logger}


@dataclass
class Parts:
    """What of a config could be built: the rest is None, or left out; callbacks and loggers by their keys."""

    optimization: LightningModule | None = None
    callbacks: dict[str, Callback] = field(default_factory=dict[str, Callback])
    loggers: dict[str, Logger] = field(default_factory=dict[str, Logger])
    make_trainer: Callable[..., Trainer] | None = None


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
