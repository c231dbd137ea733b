"""Checkpoints read from disk: the training state, and the weights of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from frame_train.console import print_notice
from frame_train.errors import CompositionError, collected, raise_any, suggest
from frame_train.optimization.training_state import TrainingState
from frame_train.runs.checkpoint_files import find_intact

_PREFIX = "model."
_N_SHOWN = 3
_LIMIT = 2**63  # of a count


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a model, with the global step and the counters at which they were saved."""

    path: Path
    global_step: int
    counters: Mapping[str, int]
    weights: Mapping[str, Tensor]


def read_training_state(path: Path) -> TrainingState:
    """Read the training state of a checkpoint, without executing anything in the file.

    Raises:
        CompositionError: The file can't be read.
    """
    try:
        return TrainingState.read(_load(path))
    except Exception as error:  # torch raises many types
        message = (
            f"`resume`: {str(path)!r} is not a readable checkpoint: it is damaged or another kind of file. "
            "Move it away to resume from an earlier checkpoint."
        )
        raise CompositionError(message) from error


def check_weights(module: LightningModule, path: Path) -> None:
    """Check that the weights of a checkpoint fit the module that resumes from it, if it needs all of them.

    Raises:
        CompositionError: The weights do not fit, for example because a size in the config was edited.
    """
    misfits = find_misfits(module, _load(path)["state_dict"]) if module.strict_loading else {}
    if misfits:
        raise CompositionError(
            f"`resume`: {str(path)!r} does not fit the `{type(module).__name__}` that the config describes: "
            f"{summarize(misfits)}. Resume with the sizes with which the run was trained."
        )


def read_checkpoints(directory: Path, weights: str) -> list[Checkpoint]:
    """Read one checkpoint of a run, or all intact ones: one for each global step, in ascending order.

    Args:
        directory: The run directory.
        weights: ``best``, ``last``, the name of another file in ``checkpoints``, a path, or ``all``.

    Raises:
        CompositionError: There is no such checkpoint, or no file can be read.
    """
    if weights != "all":
        return [_read(_find(directory, weights))]
    by_step: dict[int, Checkpoint] = {}
    problems: list[CompositionError] = []
    for path in _list(directory):
        with collected(problems):
            checkpoint = _read(path)
            by_step[checkpoint.global_step] = checkpoint
    if not by_step:
        raise_any(problems)
    for problem in problems:
        print_notice(f"skipped: {problem}")
    return [by_step[step] for step in sorted(by_step)]


def _list(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("checkpoints/*.ckpt") if path.is_file())


def _find(directory: Path, weights: str) -> Path:
    candidates = [directory / "checkpoints" / f"{weights}.ckpt", directory / "checkpoints" / weights, Path(weights)]
    for path in candidates:
        if path.is_file():
            return path
    if candidates[0].is_dir():
        raise CompositionError(f"`weights` must name a checkpoint, got the folder {str(candidates[0])!r}.")
    names = [path.stem for path in _list(directory)]
    advice = " A run keeps the best one if `monitor.metric` is set." if weights == "best" else suggest(weights, names)
    raise CompositionError(f"`weights`: the run has no checkpoint {weights!r}, only {', '.join(names)}.{advice}")


def _read(path: Path) -> Checkpoint:
    intact = find_intact(path)
    if intact is None:
        raise CompositionError(
            f"`weights`: {str(path)!r} is damaged: its size and SHA-256 are not those in its manifest, "
            f"{path.name + '.json'!r}. Choose another checkpoint."
        )
    try:
        content = _load(intact)
    except Exception as error:  # torch raises many types
        raise CompositionError(
            f"`weights`: {str(path)!r} is not a readable checkpoint: it is truncated, damaged or another kind of file. "
            "Choose another checkpoint."
        ) from error
    try:
        return _make_checkpoint(path, content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CompositionError(
            f"`weights`: {str(path)!r} is not a checkpoint of a run: `state_dict`, `global_step` or `counters` is "
            "missing or malformed."
        ) from error


def _make_checkpoint(path: Path, content: Mapping[str, Any]) -> Checkpoint:
    state, step, counters = content["state_dict"], content["global_step"], dict(content.get("counters", {}))
    weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    if not all(isinstance(value, Tensor) for value in weights.values()) or not all(map(_is_name, counters)):
        raise TypeError("expected tensors and names")
    if not all(type(number) is int and 0 <= number < _LIMIT for number in (step, *counters.values())):
        raise ValueError("expected counts")
    return Checkpoint(path, step, counters, weights)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.isprintable()


def _load(path: Path) -> dict[str, Any]:
    """Load the content of a checkpoint onto the CPU, without executing anything in the file."""
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Load the weights of a checkpoint into a model, in the precision in which they were trained.

    Raises:
        CompositionError: The weights belong to another model.
    """
    misfits = find_misfits(model, checkpoint.weights)
    if misfits:
        raise CompositionError(
            f"`weights`: {str(checkpoint.path)!r} does not fit the `{type(model).__name__}` that the config describes: "
            f"{summarize(misfits)}. Choose a checkpoint of this run."
        )
    try:
        for name, value in cast(Mapping[str, Tensor], model.state_dict(keep_vars=True)).items():
            value.data = value.data.to(checkpoint.weights[name].dtype)
        model.load_state_dict(checkpoint.weights)
    except (RuntimeError, TypeError) as error:  # such as integers in place of floats, or tensors without data
        reason = " ".join(str(error).split())
        raise CompositionError(f"`weights`: {str(checkpoint.path)!r} can't be loaded: {reason}") from error


def find_misfits(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Describe, by name, each weight of a model that is missing, and each that is unexpected or of another shape."""
    own = cast(Mapping[str, Tensor], model.state_dict(keep_vars=True))
    return {
        **{name: f"`{name}` is missing" for name in own if name not in weights},
        **{name: f"`{name}` is unexpected" for name in weights if name not in own},
        **{
            name: f"`{name}` has shape {tuple(weights[name].shape)}, expected {tuple(value.shape)}"
            for name, value in own.items()
            if name in weights and not is_lazy(value) and weights[name].shape != value.shape
        },
    }


def summarize(misfits: Mapping[str, str]) -> str:
    """Return the first descriptions of misfits, and the number of the others."""
    more = f", and {len(misfits) - _N_SHOWN} more" if len(misfits) > _N_SHOWN else ""
    return "; ".join(list(misfits.values())[:_N_SHOWN]) + more
