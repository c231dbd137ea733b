"""The command `train`."""

import os
import sys
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from frame_train.command_line import normalize_overrides
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
    try:
        _train()
    except EXPLAINED as error:
        if show_traceback:
            raise
        from frame_train.terminal import print_error

        print_error(explain(error, sys.argv[1:]))
        sys.exit(2)


@hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
def _train(config: DictConfig) -> Any:
    from frame_train.training import train  # torch and Lightning are imported only to train

    train(config, list(HydraConfig.get().overrides.task))
