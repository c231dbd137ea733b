"""What Hydra and OmegaConf say, in a few lines: what was expected, what came, the nearest right thing."""

import re
from collections.abc import Iterator, Sequence

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frame_train.errors import CompositionError, suggest
from frame_train.settings import config_directory

EXPLAINED = (CompositionError, HydraException, OmegaConfBaseException)
"""What a person did wrong; everything else is a fault of the program and keeps its traceback."""


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """Give a message of a few lines for an error of composition.

    Args:
        error: One of `EXPLAINED`.
        overrides: The command line, normalized.
    """
    if isinstance(error, CompositionError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _explain_missing_option(error.missing_cfg_file, error.options or ())
    if isinstance(error, OverrideParseException):
        return f"`{error.override}` can't be read as `key=value`: {_first_line(error)}."
    match = re.match(r"Could not override '(.+)'", str(error))
    if match is not None:
        return _explain_missing_key(match[1], overrides)
    cause = error.__cause__
    return _first_line(error) + (f": {_first_line(cause)}" if cause is not None else "")


def _explain_missing_option(option: str, options: Sequence[str]) -> str:
    group, _, name = option.rpartition("/")
    if not options:
        return f"There is no `{option}`."
    origin = " (from the variable DEVICE_NAME, or from `device=`)" if group == "device" else ""
    return f"`{group}` has no option `{name}`{origin}; it has {', '.join(options)}.{suggest(name, options)}"


def _explain_missing_key(key: str, overrides: Sequence[str]) -> str:
    others = [override for override in overrides if not re.match(rf"\+*{re.escape(key)}=", override)]
    groups = [folder.name for folder in config_directory().iterdir() if folder.is_dir()]
    known = [*_iterate_keys(_compose(others)), *groups]
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    hint = suggest(key, siblings or known) or suggest(key, known)
    there = f"; `{parent}` has {', '.join(name.rpartition('.')[2] for name in siblings)}" if parent and siblings else ""
    return f"The config has no key `{key}`{there}.{hint} `+{key}=...` adds it."


def _compose(overrides: Sequence[str]) -> DictConfig:
    options = [override for override in overrides if not override.startswith("-")]
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return compose("train", options)
    except EXPLAINED:  # more than one override is wrong: this one is told with the keys that all runs have
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return compose("train")


def _iterate_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in config:
        yield f"{prefix}{name}"
        if not OmegaConf.is_interpolation(config, str(name)) and not OmegaConf.is_missing(config, str(name)):
            child = config[name]
            if isinstance(child, DictConfig):
                yield from _iterate_keys(child, f"{prefix}{name}.")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
