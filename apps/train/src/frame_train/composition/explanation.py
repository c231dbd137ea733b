"""Short messages for errors of Hydra and OmegaConf: expected, found, and the nearest valid name."""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from frame_train.composition.command_line.overrides import own_folders
from frame_train.composition.compose import compose_what_can_be
from frame_train.composition.objects import iterate_keys, suggest_key
from frame_train.composition.options import find_groups, read_options
from frame_train.composition.settings import config_directory, recorded_environment
from frame_train.composition.unreadable import explain_list
from frame_train.errors import CompositionError, suggest

_MISTAKES = (CompositionError, HydraException, OmegaConfBaseException)
"""Mistakes of the user. Any other error is a bug and keeps its traceback."""

_WORDS_OF_OTHERS = {
    "ckpt_path": "resume=RUN",
    "datamodule": "data",
    "epochs": "trainer.max_epochs",
    "gpus": "trainer.devices",
    "n_epochs": "trainer.max_epochs",
    "task_name": "run.name",
}
"""Keys of other programs at the top level, and what is written here."""

_MOST_SHOWN = 4
_MOST_LINES = 6


@contextmanager
def explained(arguments: Sequence[str]) -> Generator[None]:
    """Raise all mistakes of the block as one, with a message of a few lines.

    Values of the environment are hidden in the message.

    Args:
        arguments: The command line.

    Raises:
        CompositionError: The block raised at least one mistake.
    """
    with recorded_environment() as environment:
        try:
            yield
        except _MISTAKES as error:
            if getattr(error, "is_explained", False):
                raise
            mistake = CompositionError(environment.hide(explain(error, arguments)))
            mistake.is_explained = True
            raise mistake from error


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """Return a message of a few lines for an error of composition.

    Args:
        error: A mistake of the user.
        arguments: The command line.
    """
    if isinstance(error, CompositionError):
        shown = [f"{_shorten(problem)}{problem.origin}" for problem in error.problems[:_MOST_SHOWN]]
        n_more = len(error.problems) - len(shown)
        return "\n".join([*shown, *([f"and {n_more} more; `train --check` shows all"] if n_more else [])])
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _explain_missing_option(error.missing_cfg_file, str(error), arguments)
    if isinstance(error, OverrideParseException):
        if match := re.match(r"([\w./@]+)\+=(.*)", error.override):
            return f"`{error.override}` can't be parsed. Write `+{match[1]}={match[2]}` to add an option or a key."
        if "=" in error.override:
            return f"`{error.override}` can't be parsed: {_first_line(error)}. Close all brackets and quotes."
        return f'`{error.override}` must be `key=value`. Write a value with spaces in quotes: "train_for=30 minutes".'
    full_key = getattr(error.__cause__, "full_key", None)
    if full_key and str(error).startswith("Could not override"):  # the message is about one key of a mapping
        return _explain_missing_key(full_key, arguments)
    for pattern, explain_match in _HYDRA_SAYS.items():
        match = re.match(pattern, str(error))
        if match is not None:
            return explain_match(match[1], arguments)
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    reason = "" if root is error else f": {_first_line(root)}"
    return f"{_first_line(error)}{reason}."


def _shorten(problem: CompositionError) -> str:
    lines = str(problem).splitlines()
    return "\n".join([*lines[:_MOST_LINES], *(["  …"] if len(lines) > _MOST_LINES else [])])


def _explain_missing_option(option: str, message: str, arguments: Sequence[str]) -> str:
    if option in ("hydra/launcher/submitit_slurm", "hydra/launcher/submitit_local"):
        return f"`{option}` is not installed. Run `uv sync --extra slurm` or `pip install frame-train[slurm]`."
    folders = [*own_folders(arguments), config_directory()]
    group, _, name = option.rpartition("/")
    listing = re.match("In '(.+?)'", message)
    file = next((folder / f"{listing[1]}.yaml" for folder in folders if listing and _holds(folder, listing[1])), None)
    where = f"\n  in {file}" if file is not None and not file.is_relative_to(config_directory()) else ""
    other_endings = [path for folder in folders for path in (folder / group).glob(f"{name}.y*ml")]
    if other_endings:
        return f"{str(other_endings[0])!r} must end with `.yaml`. Rename it to '{name}.yaml'."
    groups = find_groups(folders)
    if group.startswith("experiment/") and name in read_options("experiment", folders):
        return f"`experiment` takes the name of an experiment, not a path. Write `+experiment={name}`."
    if group not in groups:
        outer = group.removeprefix(f"{listing[1].rpartition('/')[0]}/") if listing else group
        if outer != group and outer in groups:
            return f"`defaults`: there is no group `{group}`. Write `/{outer}: {name}`, with a slash.{where}"
        return f"There is no group `{outer}`.{suggest(outer, groups)}{where}"
    for folder in folders:
        if folder.name == group and (folder / f"{name}.yaml").is_file():
            return (
                f"`--config-dir={folder}` is a group. Write `--config-dir={folder.parent}`, the folder of the groups."
            )
    options = read_options(group, folders)
    origin = " (from the variable DEVICE_NAME, or from `device=`)" if group == "device" else ""
    hint = suggest(name, options)
    if not hint and folders == [config_directory()]:
        hint = " `--config-dir FOLDER` adds your own."
    return f"`{group}` has no option `{name}`{origin}; it has {', '.join(options)}.{hint}{where}"


def _holds(folder: Path, option: str) -> bool:
    return (folder / f"{option}.yaml").is_file()


def _explain_missing_key(key: str, arguments: Sequence[str]) -> str:
    known = _list_keys(key, arguments)
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    there = f"; `{parent}` has {', '.join(name.rpartition('.')[2] for name in siblings)}" if parent and siblings else ""
    if key in _WORDS_OF_OTHERS:
        return f"The config has no key `{key}`. Did you mean `{_WORDS_OF_OTHERS[key]}`?"
    return f"The config has no key `{key}`{there}.{suggest_key(key, known)} `+{key}=...` adds it."


def _explain_missing_deletion(key: str, arguments: Sequence[str]) -> str:
    if _is_group(key, arguments):
        config, _ = compose_what_can_be([word for word in arguments if not word.startswith(f"~{key}")])
        names = list(config.get(key) or ())
        advice = f" Remove its entries, such as `~{key}.{names[0]}`." if names else ""
        return f"`~{key}`: several options can't be removed at once; `{key}` has {', '.join(names) or 'none'}.{advice}"
    return f"The config has no key `{key}` to remove.{suggest_key(key, _list_keys(key, arguments))}"


def _explain_ambiguous_value(override: str, arguments: Sequence[str]) -> str:
    key, _, value = override.partition("=")
    advice = "" if _is_group(key, arguments) else f", or write a list as `{key}=[{value}]`"
    if re.fullmatch(r"\d+,\d+", value):
        advice += f", or a decimal point as `{key}={value.replace(',', '.')}`"
    return f"`{override}` has several values. Add `-m` to run a grid{advice}."


def _explain_choice_made_twice(group: str, arguments: Sequence[str]) -> str:
    if not any(re.match(rf"\+*{re.escape(group)}=", word) for word in arguments):
        return (
            f"`{group}` is set twice, by two options in `defaults`. Write `override /{group}: …` to replace the first."
        )
    return f"`{group}=` is set twice. Choose one option of `{group}`."


def _explain_missing_folder(folder: str, arguments: Sequence[str]) -> str:
    return f"`--config-dir` must be a folder, but {folder!r} was not found."


def _explain_missing_package(experiment: str, arguments: Sequence[str]) -> str:
    return f"`experiment={experiment}`: the file of an experiment must begin with the line `# @package _global_`."


def _explain_relative_override(group: str, arguments: Sequence[str]) -> str:
    return f"`override {group}`: a group in the file of an experiment begins with a slash. Write `override /{group}`."


def _explain_early_override(message: str, arguments: Sequence[str]) -> str:
    return f"{message}. Move it to the end of `defaults`, before `_self_`."


def _explain_kinds_that_differ(place: str, arguments: Sequence[str]) -> str:
    name = place.removeprefix("In '").rstrip("'")
    folders = [*own_folders(arguments), config_directory()]
    return explain_list(next((folder / f"{name}.yaml" for folder in folders if _holds(folder, name)), None))


_HYDRA_SAYS: dict[str, Callable[[str, Sequence[str]], str]] = {
    r"In 'experiment/(.+)': Could not override '\S+@experiment\.": _explain_missing_package,
    r"In '.+': Could not override '\S+/\S+@(.+)'\.": _explain_relative_override,
    r"In 'experiment/(.+)': Invalid .+\n.+ for '\S+@experiment\.": _explain_missing_package,  # Hydra 1.4
    r"In '.+': Invalid .+\n.+ for '\S+/\S+@(.+)'": _explain_relative_override,  # Hydra 1.4
    "Could not override '(.+)'": _explain_missing_key,
    "Could not delete from config. '(.+)' does not exist": _explain_missing_deletion,
    "Could not delete '(.+)'. No match in the defaults list": _explain_missing_deletion,
    "Ambiguous value for argument '(.+)'": _explain_ambiguous_value,
    "Additional config directory '(.+)' not found": _explain_missing_folder,
    r"Multiple values for (\S+)\.": _explain_choice_made_twice,
    r"(In .+: Override .+ is defined before .+)\.\n": _explain_early_override,
    r"(In '.+'):[\s\S]*Cannot merge (?:DictConfig with ListConfig|incompatible container)": _explain_kinds_that_differ,
}


def _list_keys(key: str, arguments: Sequence[str]) -> list[str]:
    """List the keys and groups of a command line, without the argument that names an unknown key."""
    others = [argument for argument in arguments if not re.match(rf"[+~]*{re.escape(key)}(=|$)", argument)]
    groups = [folder.name for folder in config_directory().iterdir() if folder.is_dir()]
    config, _ = compose_what_can_be(others)
    return [name for name in (*iterate_keys(config), *groups) if name != key]


def _is_group(key: str, arguments: Sequence[str]) -> bool:
    return key.lstrip("+") in find_groups([*own_folders(arguments), config_directory()])


def _first_line(error: BaseException) -> str:
    """Return the first line of a message, and the second one if the first ends with a colon."""
    lines = [*str(error).strip().splitlines(), ""]
    return " ".join(lines[:2] if lines[0].endswith(":") else lines[:1]).strip().rstrip(".")
