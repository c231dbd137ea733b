"""A trial: one run, observed and pruned by Optuna."""

import math
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer

from frame_core import LogEntry, name_numbers
from frame_train.api import resume_run, train_config
from frame_train.composition.compose import compose_config
from frame_train.composition.explanation import explained
from frame_train.console import print_error, print_notice
from frame_train.errors import CompositionError, TrainingError
from frame_train.runs.checkpoint_files import find_newest
from frame_train.runs.result import Result
from frame_train.search.space import Parameter, write_override
from frame_train.search.study import FailedTrialError, list_done


class StoppedTrialError(Exception):
    """Trial whose run was stopped by a signal, which ends the search.

    Args:
        number: The number of the trial.
        result: The result of its run.
    """

    def __init__(self, number: int, result: Result) -> None:
        super().__init__(number)
        self.number = number
        self.result = result


class TrialCallback(Callback):
    """Callback that reports the run directory and the monitored metric to a trial, and prunes it.

    Args:
        trial: The trial.
        metric: The name of the metric.
    """

    call_every = 0  # logged entries trigger it

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        self._trial = trial
        self._metric = metric
        self._value: float | None = None
        reported = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self._last_step = max(reported, default=-1)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trial.set_user_attr("directory", str(trainer.default_root_dir))

    def on_log_entry(self, name: str, entry: LogEntry) -> None:
        """Remember the value until all callbacks have seen the step."""
        self._value = name_numbers(name, entry).get(self._metric, self._value)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        value, self._value = self._value, None
        if value is None or trainer.global_step <= self._last_step:  # a resumed run logs some steps again
            return
        self._trial.report(value, trainer.global_step)
        if self._trial.should_prune():
            raise optuna.TrialPruned


class Objective:
    """Function of a trial that trains its run, and returns the last value of the monitored metric.

    Args:
        parameters: The search space.
        arguments: The command line that all trials have.
        metric: The name of the metric.
    """

    def __init__(self, parameters: Sequence[Parameter], arguments: Sequence[str], metric: str) -> None:
        self._parameters = parameters
        self._arguments = arguments
        self._metric = metric

    def __call__(self, trial: optuna.Trial) -> float:
        values = {parameter.key: parameter.suggest(trial) for parameter in self._parameters}
        trial.set_user_attr("values", values)
        overrides = [write_override(key, value) for key, value in values.items()]
        print_notice(f"trial {trial.number}: {' '.join(overrides)}")
        line = [*self._arguments, *overrides]
        try:
            with explained(line):
                result = self._train(trial, line)
        except optuna.TrialPruned:
            print_notice(f"trial {trial.number} is pruned")
            raise
        except CompositionError as error:
            if not list_done(trial.study):  # no value has worked
                raise
            raise _report(error) from error
        except TrainingError as error:
            raise _report(error) from error
        except Exception as error:
            traceback.print_exc()
            raise FailedTrialError from error
        if result.status != "complete":
            raise StoppedTrialError(trial.number, result)
        return result.last.get(self._metric, math.nan)

    def _train(self, trial: optuna.Trial, line: Sequence[str]) -> Result:
        """Train a new run, or resume the run of the trial that this one continues."""
        callbacks = [TrialCallback(trial, self._metric)]
        directory = trial.user_attrs.get("directory")
        if directory is not None and find_newest(Path(directory) / "checkpoints")[0] is not None:
            return resume_run(directory, (), callbacks)
        config = compose_config(line)
        if config.run.group is None:
            config.run.group = trial.study.study_name
        return train_config(config, line, resumes=False, callbacks=callbacks)


def _report(error: CompositionError | TrainingError) -> FailedTrialError:
    print_error(str(error))
    return FailedTrialError()
