"""All mistakes in a config, found without reading data and without training."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from torch.utils.data import Dataset

from frame_core import BatchedDataset, DeclaredDataset, EvaluationView, Model
from frame_train.composition.objects import Composition, construct_target, get_key, read_entry
from frame_train.composition.signatures import find_argument_problems, read_signature
from frame_train.distributed.sharding import ShardedStrategy
from frame_train.errors import CompositionError, collected, raise_any
from frame_train.experiment.compatibility import find_mismatches, find_unknown_metrics, find_unregistered, run_check
from frame_train.experiment.dry_run import (
    find_evaluation_problems,
    find_gradient_problems,
    find_optimizer_problems,
    find_unoptimized,
)
from frame_train.experiment.parts import Check, Parts, build_parts, find_unbuilt, run_checks
from frame_train.experiment.static_checks import find_static_problems
from frame_train.experiment.trainer import build_trainer, count_processes
from frame_train.optimization.module import OptimizationModule
from frame_train.runs.transfer.initialization import initialize_model
from frame_train.runs.transfer.pretrained import find_misplaced


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
    notes = list(find_unregistered(parts))  # before the dry run, in which a model may keep tensors
    problems = [*find_static_problems(config), *find_misplaced(config)]
    if parts.subject is not None:
        with collected(problems):
            initialize_model(parts.subject.model, config)
    for checks in _CHECKS:
        problems += run_checks((partial(_find_tried, check) for check in checks), parts)
    problems += find_unknown_metrics(parts)  # last, because the dry run finds more names
    notes += _find_twins(composition)
    if data.undeclared:
        keys = ", ".join(f"`{key}`" for key in data.undeclared)
        notes.append(
            f"The data set of {keys} has no `synthesize`, so nothing that reads it was tried: see docs/data.md."
        )
    return Findings(problems, notes, parts.logged)


def _find_tried(check: Check, parts: Parts) -> list[CompositionError]:
    """Find the mistakes of a check, other than those of data that can't be read."""
    return [problem for problem in check(parts) if not _reads_undeclared(problem)]


def _find_trainer_problems(parts: Parts) -> list[CompositionError]:
    """Find the reason why the trainer can't be built, for a CPU."""
    problems: list[CompositionError] = []
    given = getattr(parts.make_trainer, "keywords", {})
    if isinstance(parts.module, OptimizationModule):
        parts.module.n_planned = count_processes(given)
    if parts.make_trainer is not None:
        with collected(problems):
            parts.trainer = build_trainer(parts, logger=[], accelerator="cpu", devices=1, num_nodes=1, strategy="auto")
            if isinstance(given.get("strategy"), ShardedStrategy) and isinstance(parts.module, OptimizationModule):
                sharding = (given["strategy"], parts.trainer)
                problems += run_check("trainer.strategy", parts.module, *sharding, method="check_sharding")
    return problems


_CHECKS: tuple[tuple[Check, ...], ...] = (
    (find_unbuilt,),
    (find_mismatches, _find_trainer_problems),
    (find_optimizer_problems, find_unoptimized),
    (find_gradient_problems, find_evaluation_problems),
)
"""Checks in groups. In a group, each check relies on the ones before it."""


def _build_subject(config: DictConfig, composition: Composition) -> EvaluationView | None:
    """Build the model and the data of an optimization that can't be built."""
    with suppress(CompositionError, OmegaConfBaseException, AttributeError):  # reported elsewhere
        model, data = (composition.instantiate(read_entry(config.optimization, name)) for name in ("model", "data"))
        return EvaluationView(model, data, {}) if isinstance(model, Model) else None
    return None


class _UndeclaredError(ValueError, AttributeError):
    """Data that do not declare their form can't be read, and have no other attributes."""


def _reads_undeclared(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, _UndeclaredError) or _reads_undeclared(error.__cause__))


class _UndeclaredDataset:
    """Stands for data of an unknown form."""

    def __getattr__(self, name: str) -> Any:
        raise _UndeclaredError

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        raise _UndeclaredError

    def get_batch(self, indices: Tensor) -> dict[str, Tensor]:
        raise _UndeclaredError


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
        values = [*positional, *arguments.values()]
        is_split = key in self._splits or (isinstance(target, type) and issubclass(target, Dataset))
        if is_split and not any(_holds(Dataset | BatchedDataset, value) for value in values):
            self.undeclared.append(key)
            return _UndeclaredDataset()
        try:
            return construct_target(target, positional, arguments, key)
        except CompositionError as error:
            if is_split and error.__cause__ is not None and any(_holds(_UndeclaredDataset, value) for value in values):
                return _UndeclaredDataset()  # a wrapper needs to know the data
            raise


def _holds(kind: Any, value: Any) -> bool:
    """Return whether a value is of a kind, or a container with such a value."""
    if isinstance(value, list | dict):
        items = cast(Any, value)
        return any(_holds(kind, item) for item in (items.values() if isinstance(value, dict) else items))
    return isinstance(value, kind)


def _find_twins(composition: Composition) -> Iterator[str]:
    """Find networks with equal configs that are trained. One network with references to it may be meant."""
    keys_by_text: dict[str, list[str]] = {}
    for node, part in composition.list_built():
        if isinstance(part, nn.Module) and any(weight.requires_grad for weight in part.parameters()):
            text = json.dumps(OmegaConf.to_container(node, resolve=True), sort_keys=True)
            keys_by_text.setdefault(text, []).append(get_key(node))
    for first, *others in keys_by_text.values():
        if others:
            yield (
                f"`{first}` and {' and '.join(f'`{key}`' for key in others)} are separate networks with equal configs. "
                f"To share one network, write ${{{first}}} in place of the others."
            )
