"""The flags `--list` and `--help` of the command `train`."""

import json
import sys
from collections.abc import Mapping, Sequence

from omegaconf import OmegaConf

from frame_train.composition.command_line.overrides import own_folders
from frame_train.composition.compose import check_folders
from frame_train.composition.options import find_groups, read_options
from frame_train.composition.settings import config_directory
from frame_train.console import print_notice
from frame_train.errors import CompositionError

_GROUPS_OF_MANY = ("evaluation", "callbacks", "experiment")  # a config can have several options of them


def print_help(arguments: Sequence[str]) -> None:
    """Print the help text in ``train.yaml``. Hydra's own `--help` would first compose a config for each group.

    Args:
        arguments: The command line.
    """
    folders = [*own_folders(arguments), config_directory()]
    template: str = OmegaConf.load(config_directory() / "train.yaml").hydra.help.template
    groups = [f"{name}: {', '.join(read_options(name, folders))}\n" for name in find_groups(folders)]
    sys.stdout.write(template.replace("$APP_CONFIG_GROUPS", "".join(groups)) + "\n")


def list_options(group: str, compatible_with: str | None, arguments: Sequence[str], as_json: bool = False) -> None:
    """Print the groups, or the options of a group with the first line of each file.

    Args:
        group: The group, empty for all groups.
        compatible_with: A choice, such as ``evaluation=elbo``. Options that do not work with it are printed separately,
            with the reason.
        arguments: The command line.
        as_json: Whether to print a JSON object: the options of each group, or the description of each option.

    Raises:
        CompositionError: The group or the choice does not exist.
    """
    from frame_train.terminal import print_options  # rich is imported only where needed

    if as_json:
        print_options = _print_json

    check_folders(own_folders(arguments))
    folders = [*own_folders(arguments), config_directory()]
    if not group:
        if compatible_with is not None:
            raise CompositionError("`--list` needs a group: `--list GROUP --compatible-with GROUP=OPTION`.")
        print_options({name: ", ".join(read_options(name, folders)) for name in find_groups(folders)})
        return
    options = read_options(group, folders)
    if compatible_with is None:
        print_options(options)
        return
    if "experiment" not in (group, compatible_with.lstrip("+").partition("=")[0]):
        raise CompositionError(
            f"`--list {group} --compatible-with {compatible_with}`: one of the two groups must be `experiment`."
        )
    other_group, _, other = compatible_with.lstrip("+").partition("=")
    if other not in read_options(other_group, folders):
        raise CompositionError(
            f"`{other_group}` has no option `{other}`; it has {', '.join(read_options(other_group, folders))}."
        )
    reasons = {name: _find_reason([(group, name), (other_group, other)], arguments) for name in options}
    print_options({name: options[name] for name, reason in reasons.items() if not reason})
    for name, reason in reasons.items():
        if reason:
            print_notice(f"not {name}: {reason}")


def print_schema(arguments: Sequence[str]) -> None:
    """Print the JSON Schema of an experiment file, with the classes that the user's own config files name.

    Args:
        arguments: The command line.
    """
    check_folders(own_folders(arguments))
    from frame_train.experiment.schema import make_schema  # torch is imported only where needed

    schema = make_schema([*own_folders(arguments), config_directory()])
    sys.stdout.write(json.dumps(schema, indent=1) + "\n")


def _print_json(options: Mapping[str, str]) -> None:
    """Print options with their descriptions as JSON."""
    sys.stdout.write(json.dumps(options, indent=2) + "\n")


def _find_reason(choices: Sequence[tuple[str, str]], arguments: Sequence[str]) -> str:
    """Return the reason why options do not work together; empty if they do."""
    from frame_train.commands.check import check_arguments  # torch is imported only where needed

    overrides = [f"{'+' * (group in _GROUPS_OF_MANY)}{group}={option}" for group, option in sorted(choices)]
    problems = check_arguments([*arguments, *overrides]).problems
    return str(problems[0]) if problems else ""
