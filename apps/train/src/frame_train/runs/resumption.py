"""Which run is gone on with, from which checkpoint, and with what changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from yaml import YAMLError

from frame_train.composition.explanation import iterate_keys
from frame_train.composition.overrides import normalize_overrides
from frame_train.console import print_notice
from frame_train.errors import CompositionError, suggest
from frame_train.runs.checkpoint_files import WholeCheckpoint, find_newest
from frame_train.runs.directory import read_description
from frame_train.runs.location import locate
from frame_train.runs.stored import read_config

_LENGTHS = ("max_epochs", "max_steps", "max_time", "min_epochs", "min_steps")


@dataclass(frozen=True)
class Resumption:
    """A run that is gone on with.

    Args:
        directory: The run directory.
        checkpoint: What it goes on from.
        passed_over: A line for each newer checkpoint that is not whole.
        changes: A line for each value of its config that is other than it was.
        is_over: Whether it came to its end, and nothing that changed says that it is longer.
    """

    directory: Path
    checkpoint: WholeCheckpoint
    passed_over: Sequence[str]
    changes: Sequence[str]
    is_over: bool


def read_resumption(where: str, overrides: Sequence[str]) -> tuple[DictConfig, Resumption]:
    """Read the config of a run and the newest checkpoint that is whole.

    Args:
        where: The run directory.
        overrides: What of the stored config is to be other, as ``key=value`` and ``~key``.

    Raises:
        CompositionError: There is no such run, nothing in it to go on from, or no such key.
    """
    directory, _ = locate(where, "last", needs_checkpoint=False)
    config = read_config(directory)
    length = _read_length(config)
    changes = [_apply(override, config) for override in normalize_overrides(overrides)]
    checkpoint, passed_over = find_newest(directory / "checkpoints")
    if checkpoint is None:
        told = "".join(f"\n{line}" for line in passed_over)
        raise CompositionError(f"`resume`: {str(directory)!r} has no whole checkpoint to go on from.{told}")
    config.run.directory = str(directory)
    is_over = bool(read_description(directory).get("complete")) and _read_length(config) == length
    return config, Resumption(directory, checkpoint, passed_over, [change for change in changes if change], is_over)


def find_unfinished(config: DictConfig, overrides: Sequence[str], launch: str | None = None) -> Path | None:
    """Find the newest run of a command that did not come to its end and has a whole checkpoint.

    Args:
        config: The composed config.
        overrides: The overrides of the command: those of the run were the same.
        launch: What must have started the run; None for whatever it was.
    """
    parent = Path(config.device.runs_root) / str(config.run.project) / str(config.run.name)
    for directory in sorted((path.parent for path in parent.glob("*/run.json")), reverse=True):
        try:
            description = read_description(directory)
            same = OmegaConf.to_container(OmegaConf.load(directory / "overrides.yaml")) == list(overrides)
        except (OSError, ValueError, YAMLError) as error:
            print_notice(f"{str(directory)!r} is passed over, it can't be read: {error}")
            continue
        same = same and launch in (None, description.get("launch"))
        if same and not description.get("complete") and find_newest(directory / "checkpoints")[0]:
            return directory
    return None


def _read_length(config: DictConfig) -> list[Any]:
    """Read all that says how long a training is."""
    return [config.get("train_for"), *(config.trainer.get(name) for name in _LENGTHS)]


def _apply(text: str, config: DictConfig) -> str:
    """Apply an override to a stored config, and say what it changes; nothing where it changes nothing."""
    override = OverridesParser.create().parse_override(text)
    if override.is_sweep_override():
        raise CompositionError(f"`resume`: a run has one value of `{override.key_or_group}`, got {text!r}.")
    key, value = override.key_or_group, None if override.is_delete() else override.value()
    parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
    name = key.rpartition(".")[2]
    is_there = isinstance(parent, DictConfig) and name in parent
    if not isinstance(parent, DictConfig) or (not is_there and not override.is_add() and not override.is_force_add()):
        raise CompositionError(
            f"`resume`: the run's config has no key `{key}`.{suggest(key, iterate_keys(config))}", key
        )
    if is_there and isinstance(value, str) and OmegaConf.is_dict(OmegaConf.select(parent, name)):
        raise CompositionError(f"`resume`: the run has its `{key}`; set the keys in it.", key)
    before = cast(Any, OmegaConf.to_container(parent, resolve=False)).get(name)
    with open_dict(parent):
        if override.is_delete():
            del parent[name]
        else:
            parent[name] = value
    return "" if before == value else f"{key}: {before!r} → {'left out' if override.is_delete() else repr(value)}"
