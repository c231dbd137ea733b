"""The command `train`."""

import contextlib
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from frame_train.command_line import normalize_overrides
from frame_train.errors import CompositionError
from frame_train.explanation import EXPLAINED, explain
from frame_train.settings import config_directory, register_resolvers
from frame_train.terminal import Job, print_error, print_jobs


def main() -> None:
    """Compose a config from the command line and train it, or with ``-m`` one for each job of a grid.

    A mistake in the config ends with a message of a few lines and exit code 2; the variable
    HYDRA_FULL_ERROR=1 shows its traceback.
    """
    sys.path.insert(0, os.getcwd())  # classes of one's own, beside one's own option files
    register_resolvers()
    show_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves its errors to us
    jobs: list[Job] = []

    @hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
    def run(config: DictConfig) -> None:
        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False))
        jobs.append(Job(overrides))
        with told_errors(show_traceback):  # here too: Hydra announces an error that it sees, and ends a grid
            jobs[-1].last_values = _train(config, overrides)

    with told_errors(show_traceback):
        sys.argv[1:] = normalize_overrides(sys.argv[1:])
        try:
            run()
        except (OSError, ValueError, YAMLError) as error:
            if jobs or isinstance(error, EXPLAINED):
                raise
            raise CompositionError(f"The config can't be composed: {error}") from error
        if len(jobs) > 1:
            print_jobs(jobs)
        sys.exit(2 if any(job.last_values is None for job in jobs) else 0)
    sys.exit(2)


@contextlib.contextmanager
def told_errors(show_traceback: bool) -> Generator[None]:
    """Tell what is wrong with a config in a short message, and go on behind it."""
    try:
        yield
    except EXPLAINED as error:
        if show_traceback:
            raise
        print_error(explain(error, sys.argv[1:]))


def _train(config: DictConfig, overrides: Sequence[str]) -> Mapping[str, float]:
    if OmegaConf.is_missing(config, "optimization"):
        raise CompositionError(f"There is nothing to train: choose one with +experiment=, of {_list_experiments()}.")
    from frame_train.training import train  # torch and Lightning are imported only to train

    return train(config, overrides)


def _list_experiments() -> str:
    return ", ".join(GlobalHydra.instance().config_loader().get_group_options("experiment"))
