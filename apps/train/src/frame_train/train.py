"""The command `train`."""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from frame_train.command_line import normalize_overrides
from frame_train.errors import CompositionError
from frame_train.explanation import EXPLAINED, explain
from frame_train.settings import config_directory, register_resolvers


def main() -> None:
    """Compose a config from the command line and train it.

    A mistake in the config ends with a message of a few lines and exit code 2; the variable
    HYDRA_FULL_ERROR=1 shows its traceback.
    """
    sys.argv[1:] = normalize_overrides(sys.argv[1:])
    register_resolvers()
    show_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves its errors to us
    with contextlib.nullcontext() if show_traceback else explained_errors():
        _compose_and_train()


@contextlib.contextmanager
def explained_errors() -> Generator[None]:
    """End the program with a short message and exit code 2 where the config is wrong."""
    try:
        yield
    except EXPLAINED as error:
        from frame_train.terminal import print_error

        print_error(explain(error, sys.argv[1:]))
        sys.exit(2)


@hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
def _compose_and_train(config: DictConfig) -> None:
    with explained_errors():  # here too: Hydra announces an error that it sees
        if OmegaConf.is_missing(config, "optimization"):
            raise CompositionError(
                f"There is nothing to train: choose one with +experiment=, of {_list_experiments()}."
            )
        overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        from frame_train.training import train  # torch and Lightning are imported only to train

        train(config, cast(list[str], overrides))


def _list_experiments() -> str:
    return ", ".join(GlobalHydra.instance().config_loader().get_group_options("experiment"))
