"""Composition of a config from a command line."""

import contextlib
import re
from collections.abc import Generator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frame_train.composition.command_line.overrides import (
    is_override,
    normalize_evaluation_overrides,
    normalize_overrides,
    own_folders,
    split_folders,
    write_value,
)
from frame_train.composition.command_line.words import check_words
from frame_train.composition.config_source import get_address, register_config_source, replace_by_listed
from frame_train.composition.exchange import drop_foreign_arguments
from frame_train.composition.legacy import rename_old_words
from frame_train.composition.options import read_options
from frame_train.composition.settings import (
    HYDRA_DEFAULTS,
    config_directory,
    find_names_from_environment,
    register_resolvers,
)
from frame_train.composition.unreadable import (
    check_first_line,
    check_no_option_name,
    explain_yaml,
    find_undecodable,
)
from frame_train.errors import CompositionError, find_nearest

DELETION = "~evaluation."
"""Prefix of an argument of `evaluate` that removes an evaluation, including one from the stored config."""

_CHOICE = re.compile(r"\+?[\w/@]+=[\w/]+")
NOT_HYDRAS_OWN = (AssertionError, OSError, RecursionError, ValueError, YAMLError)
"""Errors that a mistake in a config file causes in Hydra."""

_LONGEST_DISPLAY_NAME = 128  # characters, the limit of W&B

_GROUP_WITHOUT_OPTION = re.compile(r"\+?[a-z/]+=(null|true|false|[\d.]+|\{.*\})")


def compose_config(arguments: Sequence[str]) -> DictConfig:
    """Compose the config that a command line describes.

    Args:
        arguments: The command line. Flags other than ``--config-dir`` are ignored.

    Raises:
        HydraException: The config can't be composed.
        OmegaConfBaseException: The config can't be composed.
        CompositionError: A config file can't be read, or the value of a group is not the name of an option.
    """
    with _composing(arguments):
        return compose("train", get_overrides(arguments))


def compose_evaluation(arguments: Sequence[str]) -> DictConfig:
    """Compose the config that a command line of `evaluate` describes.

    Args:
        arguments: The command line, without flags other than ``--config-dir``.

    Raises:
        HydraException: The config can't be composed.
        OmegaConfBaseException: The config can't be composed.
        CompositionError: There is no such key, or a config file can't be read.
    """
    folders, overrides = split_folders(arguments)
    check_words(overrides, [*folders, config_directory()], "evaluate")
    overrides = [override for override in overrides if not override.startswith(DELETION)]
    with _composing(arguments):
        return compose("evaluate", [*_write_search_path(folders), *normalize_evaluation_overrides(overrides)])


@contextlib.contextmanager
def _composing(arguments: Sequence[str]) -> Generator[None]:
    """Initialize Hydra for the block, and explain errors that are not its own."""
    try:
        with initialized_hydra():
            yield
    except (HydraException, OmegaConfBaseException, CompositionError):
        raise
    except NOT_HYDRAS_OWN as error:
        raise CompositionError(explain_failure(error, arguments)) from error


def explain_failure(error: Exception, arguments: Sequence[str]) -> str:
    """Explain why Hydra could not compose a config, for one of `NOT_HYDRAS_OWN`."""
    wrong = [argument for argument in arguments if _GROUP_WITHOUT_OPTION.fullmatch(argument)]
    if "Config group override must be" in str(error) and wrong:
        group = wrong[0].partition("=")[0]
        return f"`{wrong[0]}`: a group needs the name of an option. `~{group}.NAME` removes one of its entries."
    if isinstance(error, RecursionError):
        chosen = ", ".join(f"`{word}`" for word in arguments if _CHOICE.fullmatch(word))
        return f"An option lists itself in its `defaults`, directly or through other options. Look at {chosen}."
    if isinstance(error, AssertionError):  # Hydra fails to name a list of options
        return "In `defaults` of an experiment, every `override` must come after a list such as `/evaluation: [loss]`."
    if isinstance(error, UnicodeDecodeError):
        return f"{str(find_undecodable(own_folders(arguments)))!r} must be UTF-8 text. Save it with that encoding."
    if isinstance(error, YAMLError):
        return explain_yaml(error)
    return f"The config can't be composed: {error}"


def compose_what_can_be(arguments: Sequence[str]) -> tuple[DictConfig, list[Exception]]:
    """Compose the config; skip invalid overrides and return their errors.

    Raises:
        HydraException: The config can't be composed without overrides either.
        OmegaConfBaseException: The config can't be composed without overrides either.
        CompositionError: The config can't be composed without overrides either.
    """
    kept = list(arguments)
    errors: list[Exception] = []
    while True:
        try:
            return compose_config(kept), errors
        except (HydraException, OmegaConfBaseException, CompositionError) as error:
            errors.append(error)
            remaining = _drop_wrong(kept, str(error))
            if remaining == kept:  # the mistake is in the config files
                raise
            kept = remaining


def prepare_config(config: DictConfig, arguments: Sequence[str] = ()) -> list[str]:
    """Check the keys that every run needs, name the run, make paths absolute, and replace old names.

    Args:
        config: A composed config, which is modified.
        arguments: The command line that it is composed from. A run without a name gets the name of its experiment.

    Returns:
        A line for each old name, with the present one, and for each argument that is left out.

    Raises:
        CompositionError: A key is missing or has a wrong value.
    """
    for path in _find_experiment_files(arguments):
        check_first_line(path)
    if OmegaConf.is_missing(config, "optimization"):
        raise CompositionError(_explain_missing_experiment(arguments))
    if "experiment" in config:
        message = "`experiment`: the file of an experiment must begin with the line `# @package _global_`."
        raise CompositionError(message, "experiment")
    for key in ("run", "device", "params", "monitor"):
        if not isinstance(config.get(key), DictConfig):
            raise CompositionError(f"`{key}` must be a mapping, got {config.get(key)!r}.", key)
    if not isinstance(config.get("trainer"), DictConfig) or "_target_" not in config.trainer:
        message = f"`trainer` must be a mapping with the arguments of the Trainer, got {config.trainer!r}."
        raise CompositionError(f"{message} Set one of them, such as `trainer.accelerator=gpu`.", "trainer")
    if type(config.seed) is not int or not 0 <= config.seed < 2**32:
        raise CompositionError(f"`seed` must be an integer from 0 to 2**32 - 1, got {config.seed!r}.", "seed")
    check_no_option_name(config)
    if OmegaConf.is_missing(config.run, "name"):
        config.run.name = _name_experiment(arguments)
    if arguments and config.run.get("display_name") is None:
        config.run.display_name = _make_display_name(str(config.run.name), arguments)
    with open_dict(config):
        for group in ("evaluation", "callbacks", "logger"):
            config.setdefault(group, {})  # `~logger` removes all of them
    lines = [*rename_old_words(config), *drop_foreign_arguments(config, arguments)]
    lines += [
        f"`{word}` replaces the progress bar and the training log. `+{word}` keeps them."
        for word in arguments
        if re.fullmatch(r"callbacks=(?!default$)\w+", word)
    ]
    replace_by_listed(config)
    with open_dict(config.device):
        config.device.setdefault("big_data_root", config.device.get("data_root"))
    for name in ("data_root", "big_data_root", "experiments_root"):
        folder = config.device.get(name)
        if not isinstance(folder, str):
            message = f"`device.{name}` must be the path of a folder, got {folder!r}."
            raise CompositionError(message, f"device.{name}")
        if "$" in folder:
            message = (
                f"`device.{name}` must be a path without `$`, got {folder!r}. Write `${{oc.env:HOME}}` for `$HOME`."
            )
            raise CompositionError(message, f"device.{name}")
        config.device[name] = str(Path(folder).expanduser().absolute())
    for key in find_names_from_environment(config):
        message = (
            f"`{key}` must not take its value from the environment (`${{oc.env:…}}`): everybody can see names. "
            f"Write the value itself, or `{key}=$VARIABLE` on the command line."
        )
        raise CompositionError(message, key)
    return lines


def _explain_missing_experiment(arguments: Sequence[str]) -> str:
    """Explain why a config has no optimization: no experiment is chosen, or its file does not set it."""
    name = _name_experiment(arguments)
    if name != "???":
        file = next((str(path) for path in _find_experiment_files(arguments)), name)
        return f"`experiment={name}`: {file!r} must be a mapping that sets `optimization`, directly or in `defaults`."
    for word in arguments:
        key, _, value = word.lstrip("+").partition("=")
        if "." not in key and find_nearest(key, ["experiment"]):
            return f"There is no group `{key}`. Did you mean `+experiment={value}`?"
    names = ", ".join(read_options("experiment", [config_directory()]))
    return f"No experiment is chosen. Add `+experiment=` with one of {names}."


def _find_experiment_files(arguments: Sequence[str]) -> list[Path]:
    """Return the files with the name of the chosen experiment."""
    name = _name_experiment(arguments)
    folders = [*own_folders(arguments), config_directory()]
    return [path for folder in folders for path in (folder / "experiment").rglob("*.yaml") if path.stem == name]


def prepare_hydra() -> None:
    """Register the resolvers and the source of our config files."""
    register_resolvers()
    register_config_source()


@contextlib.contextmanager
def initialized_hydra() -> Generator[None]:
    """Initialize Hydra for our config files, and restore its state at the end, because it may be running a job."""
    prepare_hydra()
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), **HYDRA_DEFAULTS):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


def get_overrides(arguments: Sequence[str]) -> list[str]:
    """Return the overrides of a command line in Hydra's grammar, with the search path of ``--config-dir``.

    Raises:
        CompositionError: A folder of `--config-dir` does not exist, or a word is not an override.
    """
    folders, others = split_folders(arguments)
    search_path = _write_search_path(folders)
    words = [word for word, before in zip(others, ["", *others]) if is_override(word) or not _is_flag(before)]
    words = [word for word in words if not _is_flag(word)]
    check_words(words, [*folders, config_directory()])
    _, overrides = split_folders(normalize_overrides([*(f"--config-dir={folder}" for folder in folders), *words]))
    return [*search_path, *overrides]


def check_folders(folders: Sequence[Path]) -> None:
    """Check that the folders of ``--config-dir`` exist.

    Raises:
        CompositionError: One of them is a file, or does not exist.
    """
    for folder in folders:
        if folder.is_file() and folder.parent.name == "experiment":
            meant = f"--config-dir={folder.parent.parent} +experiment={folder.stem}"
            raise CompositionError(f"`--config-dir` must be a folder, got the file {str(folder)!r}. Write `{meant}`.")
        if not folder.is_dir():
            raise CompositionError(f"`--config-dir` must be a folder, but {str(folder)!r} was not found.")


def _write_search_path(folders: Sequence[Path]) -> list[str]:
    """Return the override that makes Hydra search config folders."""
    check_folders(folders)
    return [f"hydra.searchpath={write_value(list(map(get_address, folders)))}"] if folders else []


def _is_flag(word: str) -> bool:
    return word.startswith("-")


def list_task_overrides(arguments: Sequence[str]) -> list[str]:
    """Return the overrides of a command line, except those of Hydra's settings, as Hydra passes them to a job."""
    return [override for override in get_overrides(arguments) if not re.match(r"[+~]*hydra[./]", override)]


def _name_experiment(arguments: Sequence[str]) -> str:
    """Return the file name of the experiment, without its ending."""
    chosen = [word.partition("=")[2] for word in arguments if re.match(r"\+*experiment=", word)]
    return chosen[-1].rpartition("/")[2].strip("[]'\"") if chosen else "???"


def _make_display_name(name: str, arguments: Sequence[str]) -> str:
    """Return the name of a run with the params and the seed that its command sets, such as ``VAE beta=0.1 seed=2``.

    References are left out.
    """
    matches = filter(None, (re.fullmatch(r"\+*(params\..+?|seed)=([^$]*)", word) for word in arguments))
    settings = [f"{match[1].removeprefix('params.')}={match[2]}" for match in matches]
    return " ".join([name, *settings])[:_LONGEST_DISPLAY_NAME]


def _drop_wrong(arguments: Sequence[str], message: str) -> list[str]:
    """Drop the override that a message of Hydra names, or all overrides if it names none."""
    match = re.match(r"Could not override '(.+)'", message)
    kept = [argument for argument in arguments if match and not argument.lstrip("+").startswith(f"{match[1]}=")]
    return kept if len(kept) < len(arguments) else [f"--config-dir={folder}" for folder in own_folders(arguments)]
