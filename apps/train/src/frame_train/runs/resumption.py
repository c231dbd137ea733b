"""Selection of the run and the checkpoint to resume, and changes of the stored config."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from frame_train.composition.command_line.overrides import normalize_overrides
from frame_train.composition.foreign.interpolations import escape
from frame_train.composition.objects import iterate_keys
from frame_train.console import print_notice
from frame_train.errors import CompositionError, suggest
from frame_train.runs.checkpoint_files import IntactCheckpoint, find_newest
from frame_train.runs.directory import check_entries, read_description
from frame_train.runs.location import locate, read_device
from frame_train.runs.stored import read_config
from frame_train.runs.yaml_files import load_yaml

_LENGTHS = ("max_epochs", "max_steps", "max_time", "min_epochs", "min_steps")


@dataclass(frozen=True)
class Resumption:
    """A run to resume.

    Args:
        directory: The run directory.
        checkpoint: The checkpoint to resume from.
        skipped: A line for each newer checkpoint that is damaged.
        changes: A line for each value of the config that changes.
        is_complete: Whether the run is complete, and no change lengthens it.
    """

    directory: Path
    checkpoint: IntactCheckpoint
    skipped: Sequence[str]
    changes: Sequence[str]
    is_complete: bool


def read_resumption(where: str, overrides: Sequence[str]) -> tuple[DictConfig, Resumption]:
    """Read the config of a run with its changes, and find its newest intact checkpoint.

    Args:
        where: The run directory.
        overrides: Changes of the stored config, as ``key=value`` and ``~key``.

    Raises:
        CompositionError: The run, an intact checkpoint or a key does not exist.
    """
    directory = _locate(where, overrides)
    config = read_config(directory, allow=None)
    length = _read_length(config)
    changes = [_apply(override, config) for override in normalize_overrides(overrides)]
    checkpoint, skipped = find_newest(directory / "checkpoints")
    if checkpoint is None:
        message = f"`resume`: {str(directory)!r} has no intact checkpoint. Start a new run, without `resume`."
        raise CompositionError("\n".join([message, *skipped]))
    config.run.directory = escape(str(directory))
    is_complete = bool(read_description(directory).get("complete")) and _read_length(config) == length
    return config, Resumption(directory, checkpoint, skipped, [change for change in changes if change], is_complete)


def _locate(where: str, overrides: Sequence[str]) -> Path:
    """Return the run directory that `resume` names.

    Raises:
        CompositionError: It names no run.
    """
    if where.lower() in ("", "auto", "true", "yes", "on", "1"):
        raise CompositionError(
            f"`resume` must be a run directory, the folder of a grid, `last` or `auto`, got {where!r}. `resume=auto` "
            "continues the newest incomplete run of the same command."
        )
    try:
        roots = [word.lstrip("+") for word in overrides if word.lstrip("+").startswith("device.experiments_root=")]
        device = read_device(roots) if where == "last" else None
        return locate(where, "last", device, needs_checkpoint=False)[0]
    except CompositionError as error:
        raise CompositionError(f"`resume`: {str(error).removeprefix('`run`: ')}") from error


def find_unfinished(config: DictConfig, overrides: Sequence[str], launch: str | None = None) -> Path | None:
    """Find the newest incomplete run of a command with an intact checkpoint.

    Args:
        config: The composed config.
        overrides: The overrides of the command; the run must have the same ones.
        launch: Identifier of the `torchrun` that must have started the run; None for any.
    """
    parent = Path(config.device.experiments_root) / str(config.run.project) / str(config.run.name)
    for directory in sorted((path.parent for path in parent.glob("*/run.json")), reverse=True):
        try:
            check_entries(directory)
            description = read_description(directory)
            same = OmegaConf.to_container(load_yaml(directory / "overrides.yaml")) == list(overrides)
        except (OSError, ValueError) as error:
            print_notice(f"Skipped {str(directory)!r}, which can't be read: {error}")
            continue
        same = same and launch in (None, description.get("launch"))
        if same and not description.get("complete") and find_newest(directory / "checkpoints")[0]:
            return directory
    return None


def _read_length(config: DictConfig) -> list[Any]:
    """Return all values that determine the length of training."""
    return [config.get("train_for"), *(config.trainer.get(name) for name in _LENGTHS)]


def _apply(text: str, config: DictConfig) -> str:
    """Apply an override to a stored config; return a line that describes the change, empty if nothing changes."""
    override = OverridesParser.create().parse_override(text)
    if override.is_sweep_override():
        raise CompositionError(f"`resume`: `{override.key_or_group}` must have one value, got {text!r}.")
    key, value = override.key_or_group, None if override.is_delete() else override.value()
    if key == "experiment":
        message = f"`resume`: a run keeps its experiment, got {text!r}. Remove it, or start a new run without `resume`."
        raise CompositionError(message, key)
    if key == "run.directory":
        raise CompositionError(f"`resume`: a run keeps its directory, got {text!r}. Move the folder instead.", key)
    if key in ("initialize_from", "initialize_strictly"):
        raise CompositionError(f"`resume`: `{key}` needs a new run. A resumed run has weights. Omit `resume`.", key)
    parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
    name = key.rpartition(".")[2]
    exists = isinstance(parent, DictConfig) and name in parent
    if not isinstance(parent, DictConfig) or (not exists and not override.is_add() and not override.is_force_add()):
        raise CompositionError(
            f"`resume`: the run's config has no key `{key}`.{suggest(key, iterate_keys(config))}", key
        )
    is_option = not key.startswith("trainer.")  # no group has the options of the trainer
    if is_option and exists and isinstance(value, str) and OmegaConf.is_dict(OmegaConf.select(parent, name)):
        raise CompositionError(
            f"`resume`: `{key}` must be a mapping, got {value!r}. A resumed run keeps its options; set keys of them.",
            key,
        )
    before = cast(Any, OmegaConf.to_container(parent, resolve=False)).get(name)
    with open_dict(parent):
        if override.is_delete():
            del parent[name]
        else:
            parent[name] = value
    return "" if before == value else f"{key}: {before!r} → {'removed' if override.is_delete() else repr(value)}"
