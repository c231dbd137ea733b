"""`train --help`: what there is to choose from, and which flags there are."""

import sys
from collections.abc import Sequence

from omegaconf import OmegaConf

from frame_train.composition.options import find_groups, read_options
from frame_train.composition.overrides import own_folders
from frame_train.composition.settings import config_directory


def print_help(arguments: Sequence[str]) -> None:
    """Print the text that ``train.yaml`` has for Hydra, which composes a config for each group before it prints it.

    Args:
        arguments: The command line.
    """
    folders = [*own_folders(arguments), config_directory()]
    template: str = OmegaConf.load(config_directory() / "train.yaml").hydra.help.template
    groups = [f"{name}: {', '.join(read_options(name, folders))}\n" for name in find_groups(folders)]
    sys.stdout.write(template.replace("$APP_CONFIG_GROUPS", "".join(groups)) + "\n")
