"""The file of a search: what varies, which metric counts, and how many trials there are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frame_train.composition.command_line.overrides import is_override
from frame_train.errors import CompositionError, suggest
from frame_train.search.space import Parameter, parse_parameters

_KEYS = ("parameters", "trials", "metric", "study", "storage", "sampler", "pruner")
_KEYS_OF_WANDB = ("command", "method", "run_cap", "name", "description", "project", "entity", "program")
_SAMPLERS = {
    "bayes": "optuna.samplers.TPESampler",
    "random": "optuna.samplers.RandomSampler",
    "grid": "optuna.samplers.BruteForceSampler",
}
"""The samplers that are nearest to the methods of W&B."""

_MODES = {"maximize": "max", "minimize": "min"}


@dataclass(frozen=True)
class Search:
    """A search.

    Args:
        parameters: The search space.
        content: The parameters as they are written, to compare a search with the one that it continues.
        arguments: The command line that all trials have.
        n_trials: Number of trials, of all processes together.
        study: Name of the study.
        storage: URL of its storage; None for a file below ``device.experiments_root``.
        config: A config whose ``search.sampler`` and ``search.pruner`` are components or null.
    """

    parameters: Sequence[Parameter]
    content: Mapping[str, Any]
    arguments: Sequence[str]
    n_trials: int
    study: str
    storage: str | None
    config: DictConfig


def read_search(path: Path, arguments: Sequence[str]) -> Search:
    """Read the file of a search, which may be a sweep of W&B.

    Args:
        path: The file.
        arguments: The command line. ``search.key=value`` replaces a key of the file, and the other arguments replace
            those of the file's ``command``.

    Raises:
        CompositionError: The file can't be read, or has a mistake.
    """
    changes = [word.removeprefix("search.") for word in arguments if word.startswith("search.")]
    content = _load(path, changes)
    known = [*_KEYS, *_KEYS_OF_WANDB]
    for key in content:
        if key == "early_terminate":
            raise CompositionError(f"`{path.name}`: only W&B reads `early_terminate`. Use `pruner` instead.")
        if key not in known:
            raise CompositionError(f"`{path.name}` has no key `{key}`, only {', '.join(_KEYS)}.{suggest(key, known)}")
    parameters = parse_parameters(content.get("parameters"), path.name)
    n_trials = content.get("trials", content.get("run_cap"))
    if type(n_trials) is not int or n_trials < 1:
        found = "it is missing" if n_trials is None else f"got {n_trials!r}"
        raise CompositionError(f"`{path.name}`: `trials` must be a positive integer, {found}. Add `search.trials=30`.")
    study = str(content.get("study", path.stem))
    if not re.fullmatch(r"\w[\w .+=,@-]{0,99}", study):
        raise CompositionError(f"`{path.name}`: `study` must be the name of a folder, got {study!r}.")
    storage = content.get("storage")
    if storage is not None and not isinstance(storage, str):
        raise CompositionError(f"`{path.name}`: `storage` must be a URL such as 'sqlite:///my.db', got {storage!r}.")
    own = [word for word in arguments if not word.startswith("search.")]
    components = {"sampler": content.get("sampler", _choose_sampler(content, path)), "pruner": content.get("pruner")}
    return Search(
        parameters,
        content["parameters"],
        _merge([*_read_command(content, path), *_read_metric(content, path)], own),
        n_trials,
        study,
        storage,
        OmegaConf.create({"search": components}),
    )


def _load(path: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Load a file with changes, and resolve everything except its command, which has a word of W&B."""
    try:
        written = OmegaConf.load(path)
        if not isinstance(written, DictConfig):
            raise ValueError("it has no keys")
        content = cast(DictConfig, OmegaConf.merge(written, OmegaConf.from_dotlist(list(changes))))
        command = cast(dict[str, Any], OmegaConf.to_container(content, resolve=False)).get("command", [])
        content["command"] = None
        return {**cast(dict[str, Any], OmegaConf.to_container(content, resolve=True)), "command": command}
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        message = f"`--search`: {str(path)!r} must be a YAML file with `parameters`: {reason}."
        raise CompositionError(message) from error


def _read_command(content: Mapping[str, Any], path: Path) -> list[str]:
    """Read the overrides in the command of a W&B sweep."""
    command = content["command"]
    if not isinstance(command, list):
        raise CompositionError(f"`{path.name}`: `command` must be a list of words, got {command!r}.")
    return [str(word) for word in cast(list[Any], command) if is_override(str(word)) and "{" not in str(word)]


def _read_metric(content: Mapping[str, Any], path: Path) -> list[str]:
    """Return overrides that monitor the metric of the file, if it names one."""
    if "metric" not in content:
        return []
    metric = content["metric"]
    name, goal = (metric.get("name"), metric.get("goal", "minimize")) if isinstance(metric, dict) else (None, None)
    if not isinstance(name, str) or goal not in _MODES:
        raise CompositionError(
            f"`{path.name}`: `metric` must have a `name`, and a `goal` that is maximize or minimize, got {metric!r}."
        )
    return [f"monitor.metric={name}", f"monitor.mode={_MODES[goal]}"]


def _choose_sampler(content: Mapping[str, Any], path: Path) -> dict[str, str] | None:
    method = content.get("method", "bayes")
    if method not in _SAMPLERS:
        message = f"`{path.name}`: `method` must be one of {', '.join(_SAMPLERS)}, got {method!r}."
        raise CompositionError(f"{message} `sampler` takes any sampler of Optuna.")
    return {"_target_": _SAMPLERS[method]}


def _merge(words: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return both lists of arguments, without words of the first one that the second one replaces."""
    keys = {word.lstrip("+").partition("=")[0] for word in own}
    return [*(word for word in words if word.lstrip("+").partition("=")[0] not in keys), *own]
