"""Training from Python, for the command, notebooks and other programs."""

from collections.abc import Sequence

from omegaconf import DictConfig

from frame_train.composition.compose import compose_config, list_task_overrides, prepare_config
from frame_train.composition.explanation import explained
from frame_train.composition.origins import located
from frame_train.composition.overrides import is_override
from frame_train.console import print_notice
from frame_train.distributed.environment import is_restarted, name_launch
from frame_train.errors import raise_any
from frame_train.runs.result import Result


def train(arguments: Sequence[str]) -> Result:
    """Train an experiment, or resume a run, given the arguments of the command `train`.

    ``train(["+experiment=MNIST_VAE", "params.beta=1"])`` is equal to ``train +experiment=MNIST_VAE params.beta=1``.
    Ctrl-C, SIGTERM and SIGUSR1 end training after its step. `Result.status` is then not ``complete``.

    Args:
        arguments: Overrides, ``resume=…`` and ``--config-dir=…``, as on the command line.

    Raises:
        CompositionError: The config has a mistake.
        TrainingError: Training can't continue.
    """
    if isinstance(arguments, str):
        raise TypeError(f"`arguments` must be a list such as `[{arguments!r}]`, got a string.")
    with explained(arguments):
        where = next((word[7:] for word in arguments if word.startswith("resume=")), None)
        others = [word for word in arguments if not word.startswith("resume=")]
        if where in (None, "auto"):
            return train_config(compose_config(others), others, resumes=where == "auto")
        return _resume(where, list(filter(is_override, others)))


def train_config(config: DictConfig, arguments: Sequence[str], resumes: bool) -> Result:
    """Train a composed config.

    Args:
        config: The config, which is modified.
        arguments: The arguments that it is composed from.
        resumes: Whether to resume an incomplete run of these arguments.
    """
    with located(config, arguments):
        lines = prepare_config(config, arguments)
        from frame_train.experiment.static_checks import find_written_problems  # needed only for a composed config
        from frame_train.experiment.unread import find_unread

        problems, notices = find_unread(config, arguments)
        for line in (*lines, *notices):
            print_notice(line)
        raise_any([*problems, *find_written_problems(config)])  # before torch and Lightning are imported
        if resumes or is_restarted():
            from frame_train.runs.resumption import (
                find_unfinished,  # torch and Lightning are imported only where needed
            )

            unfinished = find_unfinished(config, list_task_overrides(arguments), None if resumes else name_launch())
            if unfinished is not None:
                return _resume(str(unfinished), ())
        from frame_train.training import start

        return start(config, arguments)


def _resume(where: str, overrides: Sequence[str]) -> Result:
    from frame_train.runs.resumption import read_resumption  # torch and Lightning are imported only where needed
    from frame_train.training import resume

    config, resumption = read_resumption(where, overrides)
    with located(config):
        prepare_config(config)
        return resume(config, resumption)
