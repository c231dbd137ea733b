"""Everything that is wrong with a config, found without training it and without its data."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import Callback
from torch import nn
from torch.utils.data import Dataset

from frame_core import BatchedDataset, DeclaredDataset, Model
from frame_train.composition.objects import Composition, construct_target, get_key, read_entry, trace_in
from frame_train.composition.signatures import find_argument_problems
from frame_train.data import SyntheticDataset
from frame_train.errors import CompositionError, drop_repeated, raise_any
from frame_train.experiment.compatibility import find_misfits, find_mismatches, find_unknown_metrics, list_logged
from frame_train.experiment.dry_run import View, find_networks, try_evaluations, try_loss, try_optimizers, try_training
from frame_train.experiment.parts import Parts, build_parts
from frame_train.experiment.static_checks import find_static_problems, iterate_components
from frame_train.experiment.trainer import build_trainer, check_trainer

_ROOTS = ("optimization", "callbacks", "evaluation", "logger", "trainer")
_ANY_MACHINE: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto"}


@dataclass
class Findings:
    """What was found: problems, notes of what may be meant, and the names under which something is logged."""

    problems: list[CompositionError] = field(default_factory=list[CompositionError])
    notes: list[str] = field(default_factory=list[str])
    logged: list[str] = field(default_factory=list[str])


def check_config(config: DictConfig) -> Findings:
    """Find everything that is wrong with a config.

    What it describes is built with made up data in the place of its own, and its loss and evaluations are
    tried on two of them, on the CPU. The Trainer is built for a CPU as well, whatever machine it is meant for.

    Args:
        config: A composed config, with a run directory, in which nothing is written.
    """
    findings = Findings(find_static_problems(config))
    data = _SyntheticData(config)
    composition = Composition(data.construct)
    for node in _iterate_built(config):
        _collect(lambda node=node: composition.instantiate(node), findings.problems)
    parts = build_parts(config, composition, findings.problems)
    mismatches = [trace_in(config, problem) for problem in find_mismatches(parts)]
    findings.problems += mismatches
    findings.logged = list_logged(parts.callbacks)
    if not mismatches:  # of which the Trainer would complain in its own words
        _collect(lambda: _check_trainer(parts, Path(config.run.directory)), findings.problems)
    if data.undeclared:
        keys = ", ".join(f"`{key}`" for key in data.undeclared)
        findings.notes.append(
            f"The data of {keys} do not declare their form (`synthesize`): the loss and the evaluations were not tried."
        )
    elif parts.optimization is not None:
        tried = try_training(parts.optimization, find_networks(composition))
        findings.problems += [trace_in(config, problem) for problem in tried]
        if not tried:
            failed, numbers = try_evaluations(parts.optimization, parts.callbacks)
            findings.problems += failed
            if not failed and not mismatches:
                findings.logged = [*numbers, *(name for name in findings.logged if name == "Train")]
                unlogged = find_unknown_metrics(parts.callbacks, findings.logged)
                findings.problems += [trace_in(config, problem) for problem in unlogged]
    if parts.optimization is not None:
        findings.problems += try_optimizers(parts.optimization)
    elif isinstance(config.optimization, DictConfig) and "model" in config.optimization:  # it may be wrong too
        _collect(lambda: _try_model(config, composition, parts.callbacks, findings.problems), findings.problems)
    findings.notes += _find_twins(config, composition)
    findings.problems = drop_repeated(findings.problems)
    return findings


class _SyntheticData:
    """Builds made up data where a config describes data, and everything else as it is described.

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
        """Call a target, or for a data set what makes up data of its form."""
        if isinstance(target, DeclaredDataset):
            raise_any(find_argument_problems(cast(Any, target), positional, arguments, key))
            return construct_target(target.synthesize, positional, arguments, key)
        if _is_source(target, [*positional, *arguments.values()], is_split=key in self._splits):
            self.undeclared.append(key)
            return SyntheticDataset(1, x_shape=())
        return construct_target(target, positional, arguments, key)


def _is_source(target: Callable[..., Any], arguments: Sequence[Any], is_split: bool) -> bool:
    """Say whether a target reads data itself: a data set or what makes a split, and not of other data."""
    is_data_set = isinstance(target, type) and issubclass(target, Dataset)
    return (is_data_set or is_split) and not any(map(_holds_data, arguments))


def _holds_data(value: Any) -> bool:
    if isinstance(value, list | dict):
        items = cast(Any, value)
        return any(map(_holds_data, items.values() if isinstance(value, dict) else items))
    return isinstance(value, Dataset | BatchedDataset)


def _iterate_built(config: DictConfig) -> Iterable[DictConfig]:
    done: set[int] = set()
    for root in _ROOTS:
        yield from iterate_components(config.get(root), done)


def _collect(action: Callable[[], Any], problems: list[CompositionError]) -> None:
    try:
        action()
    except CompositionError as error:
        problems.append(error)


def _try_model(
    config: DictConfig,
    composition: Composition,
    callbacks: Mapping[str, Callback],
    problems: list[CompositionError],
) -> None:
    """Try the model of a procedure that can't be built, and what its evaluations ask for.

    Raises:
        CompositionError: The model can't be built either, or its loss can't be computed.
    """
    model, data = (composition.instantiate(read_entry(config.optimization, name)) for name in ("model", "data"))
    if not isinstance(model, Model):
        return
    problems += find_misfits(callbacks, View(model, data, {}))
    try:
        try_loss(View(model, data, {}), find_networks(composition))
    except CompositionError as error:
        raise trace_in(config, error) from error


def _check_trainer(parts: Parts, directory: Path) -> None:
    """Build the trainer for a CPU, and let the procedure look at it.

    Raises:
        CompositionError: It can't be built, or asks for what the procedure can't do.
    """
    if parts.make_trainer is None:
        return
    trainer = build_trainer(parts.make_trainer, parts.callbacks, [], directory, **_ANY_MACHINE)
    if parts.optimization is not None:
        check_trainer(parts.optimization, trainer)


def _find_twins(config: DictConfig, composition: Composition) -> list[str]:
    """Find networks that are written twice in equal words, where one and a reference to it may be meant."""
    keys_by_words: dict[str, list[str]] = {}
    for node in _iterate_built(config):
        with suppress(CompositionError, OmegaConfBaseException):
            network = composition.instantiate(node)
            if isinstance(network, nn.Module) and any(True for _ in network.parameters()):
                words = json.dumps(OmegaConf.to_container(node, resolve=True), sort_keys=True)
                keys_by_words.setdefault(words, []).append(get_key(node))
    return [
        f"`{keys[0]}` and {' and '.join(f'`{key}`' for key in keys[1:])} are networks of their own with equal configs: "
        f"if one is meant, let the others refer to it by ${{{keys[0]}}}."
        for keys in keys_by_words.values()
        if len(keys) > 1
    ]
