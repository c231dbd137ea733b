"""Training and evaluation from Python, for the commands, notebooks and other programs."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from frame_train.composition.command_line.overrides import is_override
from frame_train.composition.compose import (
    DELETION,
    compose_config,
    compose_evaluation,
    list_task_overrides,
    prepare_config,
)
from frame_train.composition.explanation import explained
from frame_train.composition.origins import located
from frame_train.console import print_notice
from frame_train.distributed.environment import is_restarted, name_launch
from frame_train.errors import raise_any
from frame_train.runs.result import Result

if TYPE_CHECKING:
    from pytorch_lightning import Callback


def train(arguments: Sequence[str]) -> Result:
    """Train an experiment, or resume a run, given the arguments of the command `train`.

    ``train(["+experiment=MNIST_VAE", "params.beta=1"])`` is equal to ``train +experiment=MNIST_VAE params.beta=1``.
    Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP end training after its step. `Result.status` is then not ``complete``.

    Args:
        arguments: Overrides, ``resume=…`` and ``--config-dir=…``, as on the command line.

    Raises:
        CompositionError: The config has a mistake.
        TrainingError: Training can't continue.
        EvaluationError: An evaluation failed.
    """
    _check_list(arguments)
    with explained(arguments):
        where = next((word[7:] for word in arguments if word.startswith("resume=")), None)
        others = [word for word in arguments if not word.startswith("resume=")]
        if where in (None, "auto"):
            return train_config(compose_config(others), others, resumes=where == "auto")
        return resume_run(where, list(filter(is_override, others)))


def evaluate(arguments: Sequence[str]) -> dict[int, dict[str, float]]:
    """Evaluate a stored run, given the arguments of the command `evaluate`, and append the results to its logs.

    ``evaluate(["run=RUN", "weights=best"])`` is equal to ``evaluate run=RUN weights=best``.

    Args:
        arguments: Overrides and ``--config-dir=…``, as on the command line.

    Returns:
        The numbers by name, for the global step of each evaluated checkpoint.

    Raises:
        CompositionError: The config has a mistake, or the run can't be loaded.
        EvaluationError: Evaluations failed. The results of the others are logged.
    """
    _check_list(arguments)
    with explained(()):
        return evaluate_config(compose_evaluation(arguments), arguments)


def evaluate_config(
    config: DictConfig, arguments: Sequence[str], only_checks: bool = False
) -> dict[int, dict[str, float]]:
    """Evaluate a stored run, or only check the evaluations, given a composed config and its arguments."""
    from frame_train.evaluating import evaluate_run  # torch and Lightning are imported only where needed

    return evaluate_run(
        config,
        adds_evaluations=any(re.match(r"\+*evaluation=", argument) for argument in arguments),
        sets_device=any(argument.startswith(("device=", "device.")) for argument in arguments),
        deletions=[argument[1:].partition("=")[0] for argument in arguments if argument.startswith(DELETION)],
        only_checks=only_checks,
    )


def check_statically(config: DictConfig, arguments: Sequence[str], notify: Callable[[str], None]) -> None:
    """Prepare a composed config, and check it without importing torch or Lightning.

    Args:
        config: The config, which is modified.
        arguments: The arguments that it is composed from.
        notify: Called with a line for each old name, and for each argument without effect.

    Raises:
        CompositionError: The config has a mistake.
    """
    from frame_train.experiment.static_checks import find_written_problems  # needed only for a composed config
    from frame_train.experiment.unread import find_unread

    with located(config, arguments):
        lines = prepare_config(config, arguments)
        problems, notices = find_unread(config, arguments)
        for line in (*lines, *notices):
            notify(line)
        raise_any([*problems, *find_written_problems(config)])


def train_config(
    config: DictConfig, arguments: Sequence[str], resumes: bool, callbacks: Sequence["Callback"] = ()
) -> Result:
    """Train a composed config.

    Args:
        config: The config, which is modified.
        arguments: The arguments that it is composed from.
        resumes: Whether to resume an incomplete run of these arguments.
        callbacks: Callbacks of this process, in addition to those of the config.
    """
    check_statically(config, arguments, print_notice)
    with located(config, arguments):
        if resumes or is_restarted():
            from frame_train.runs.resumption import (
                find_unfinished,  # torch and Lightning are imported only where needed
            )

            unfinished = find_unfinished(config, list_task_overrides(arguments), None if resumes else name_launch())
            if unfinished is not None:
                return resume_run(unfinished, (), callbacks)
        from frame_train.training import start

        return start(config, arguments, callbacks)


def resume_run(where: str | Path, overrides: Sequence[str], callbacks: Sequence["Callback"] = ()) -> Result:
    """Resume a run.

    Args:
        where: The run directory.
        overrides: Changes of its stored config.
        callbacks: Callbacks of this process, in addition to those of the config.
    """
    from frame_train.runs.resumption import read_resumption  # torch and Lightning are imported only where needed
    from frame_train.training import resume

    config, resumption = read_resumption(str(where), overrides)
    with located(config):
        prepare_config(config)
        return resume(config, resumption, callbacks)


def _check_list(arguments: Sequence[str]) -> None:
    if isinstance(arguments, str):
        raise TypeError(f"`arguments` must be a list such as `[{arguments!r}]`, got a string.")
