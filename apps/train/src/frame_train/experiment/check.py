"""All mistakes in a config, found without reading data and without training."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn
from torch.utils.data import Dataset

from frame_core import BatchedDataset, DeclaredDataset, EvaluationView, Model
from frame_train.composition.objects import Composition, construct_target, get_key, read_entry
from frame_train.composition.signatures import find_argument_problems, read_signature
from frame_train.data import SyntheticDataset
from frame_train.errors import CompositionError, collected, raise_any
from frame_train.experiment.compatibility import find_mismatches, find_unknown_metrics
from frame_train.experiment.dry_run import (
    find_evaluation_problems,
    find_gradient_problems,
    find_optimizer_problems,
    find_unoptimized,
)
from frame_train.experiment.parts import Check, Parts, build_parts, find_unbuilt, run_checks
from frame_train.experiment.static_checks import find_static_problems
from frame_train.experiment.trainer import build_trainer


@dataclass
class Findings:
    """Mistakes, notes on possible mistakes, and the names of logged entries."""

    problems: list[CompositionError] = field(default_factory=list[CompositionError])
    notes: list[str] = field(default_factory=list[str])
    logged: list[str] = field(default_factory=list[str])


def check_config(config: DictConfig) -> Findings:
    """Find all mistakes in a config.

    The components are built with synthetic data. The loss and the evaluations are computed for two examples. Everything
    is built for a CPU, even if the config is for another machine.

    Args:
        config: A composed config, with a run directory, to which nothing is written.
    """
    data = _SyntheticData(config)
    composition = Composition(data.construct, find_all=True)
    parts = build_parts(config, composition)
    if parts.subject is None:
        parts.subject = _build_subject(config, composition)
    chains = _CHECKS if data.undeclared else (*_CHECKS, _DRY_RUN)
    problems = [*find_static_problems(config), *(found for checks in chains for found in run_checks(checks, parts))]
    problems += find_unknown_metrics(parts)  # last, because the dry run finds more names
    notes = list(_find_twins(composition))
    if data.undeclared:
        keys = ", ".join(f"`{key}`" for key in data.undeclared)
        notes.append(f"The data set of {keys} has no `synthesize`, so the loss and the evaluations were not tried.")
    return Findings(problems, notes, parts.logged)


def _find_trainer_problems(parts: Parts) -> list[CompositionError]:
    """Find the reason why the trainer can't be built, for a CPU."""
    problems: list[CompositionError] = []
    if parts.make_trainer is not None:
        with collected(problems):
            parts.trainer = build_trainer(parts, logger=[], accelerator="cpu", devices=1, num_nodes=1, strategy="auto")
    return problems


_CHECKS: tuple[tuple[Check, ...], ...] = (
    (find_unbuilt,),
    (find_mismatches, _find_trainer_problems),
    (find_optimizer_problems, find_unoptimized),
)
"""Checks in groups. In a group, each check relies on the ones before it."""

_DRY_RUN: tuple[Check, ...] = (find_gradient_problems, find_evaluation_problems)


def _build_subject(config: DictConfig, composition: Composition) -> EvaluationView | None:
    """Build the model and the data of an optimization that can't be built."""
    with suppress(CompositionError, OmegaConfBaseException, AttributeError):  # reported elsewhere
        model, data = (composition.instantiate(read_entry(config.optimization, name)) for name in ("model", "data"))
        return EvaluationView(model, data, {}) if isinstance(model, Model) else None
    return None


class _SyntheticData:
    """Construction of a config's components, with synthetic data in place of its data.

    Args:
        config: A composed config.
    """

    def __init__(self, config: DictConfig) -> None:
        self.undeclared: list[str] = []
        self._splits: set[str] = set()
        with suppress(OmegaConfBaseException, AttributeError):
            splits = config.optimization.data
            self._splits = {get_key(splits[name]) for name in splits if isinstance(splits[name], DictConfig)}

    def construct(
        self, target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any], key: str
    ) -> Any:
        """Call a target; for a data set, make synthetic data of its form."""
        if isinstance(target, DeclaredDataset):
            raise_any(find_argument_problems(read_signature(cast(Any, target)), positional, arguments, key))
            return construct_target(target.synthesize, positional, arguments, key)
        if _is_source(target, [*positional, *arguments.values()], is_split=key in self._splits):
            self.undeclared.append(key)
            return SyntheticDataset(10_000, x_shape=())
        return construct_target(target, positional, arguments, key)


def _is_source(target: Callable[..., Any], arguments: Sequence[Any], is_split: bool) -> bool:
    """Return whether a target reads data itself: a data set, or a function that makes a split, but not a wrapper."""
    is_data_set = isinstance(target, type) and issubclass(target, Dataset)
    return (is_data_set or is_split) and not any(map(_holds_data, arguments))


def _holds_data(value: Any) -> bool:
    if isinstance(value, list | dict):
        items = cast(Any, value)
        return any(map(_holds_data, items.values() if isinstance(value, dict) else items))
    return isinstance(value, Dataset | BatchedDataset)


def _find_twins(composition: Composition) -> Iterator[str]:
    """Find networks with equal configs. One network with references to it may be meant."""
    keys_by_text: dict[str, list[str]] = {}
    for node, part in composition.list_built():
        if isinstance(part, nn.Module) and any(True for _ in part.parameters()):
            text = json.dumps(OmegaConf.to_container(node, resolve=True), sort_keys=True)
            keys_by_text.setdefault(text, []).append(get_key(node))
    for first, *others in keys_by_text.values():
        if others:
            yield (
                f"`{first}` and {' and '.join(f'`{key}`' for key in others)} are separate networks with equal configs. "
                f"To share one network, write ${{{first}}} in place of the others."
            )
