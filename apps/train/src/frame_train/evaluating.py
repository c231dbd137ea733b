"""Evaluation of a stored run, from its directory to its report."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from frame_core import EntryLogger, LogEntry
from frame_loggers import FileLogger
from frame_loggers.lightning import log_with
from frame_train.callbacks import EvaluationCallback
from frame_train.callbacks.evaluation import make_view
from frame_train.composition.foreign.allow_list import NotAllowedError
from frame_train.console import print_notice
from frame_train.errors import CompositionError, EvaluationError, describe_error, raise_any, suggest
from frame_train.experiment.compatibility import find_mismatches
from frame_train.experiment.parts import Parts
from frame_train.files import without_local_settings
from frame_train.report import write_report
from frame_train.runs.checkpoint import Checkpoint
from frame_train.runs.directory import claimed, continue_wandb_runs, is_unwritable, write_metrics, write_missing_end
from frame_train.runs.stored import Run, open_run
from frame_train.terminal import print_closing, print_values, quiet_libraries


@quiet_libraries()
def evaluate_run(
    config: DictConfig,
    adds_evaluations: bool,
    sets_device: bool,
    deletions: Sequence[str] = (),
    only_checks: bool = False,
) -> dict[int, dict[str, float]]:
    """Evaluate the checkpoints of a run, and append the results to its logs.

    Args:
        config: The composed config of the command.
        adds_evaluations: Whether the evaluations of the config replace those of the run.
        sets_device: Whether the folder of the data comes from the config instead of the run.
        deletions: Keys of evaluations to skip, such as ``evaluation.elbo_train``.
        only_checks: Whether to end before the first evaluation, without numbers.

    Returns:
        The numbers by name, for the global step of each checkpoint.

    Raises:
        CompositionError: The run can't be loaded, or an evaluation does not work with it.
        EvaluationError: Evaluations raised an error. The results of the others are logged.
    """
    options = cast(dict[str, Any], OmegaConf.to_container(config.evaluation, resolve=False))
    run, checkpoints = _open(config, list(_iterate_targets(options)))
    with _explained_write_errors(run.directory), claimed(run.directory, "run"):
        for checkpoint in checkpoints:
            run.load(checkpoint)  # before any evaluation, so that none runs if another one can't
        if sets_device:
            run.move_data(config.device)
        own = _as_mapping(run.config, "evaluation")
        run.config.evaluation = options if adds_evaluations else OmegaConf.merge(own, options)
        for key in deletions:
            _delete(run.config, key)
        evaluations = _build_evaluations(run)
        _report_other_splits(evaluations, own)
        if only_checks:
            return {}
        with without_local_settings():
            loggers = _build_loggers(run)
        run.model.to(_choose_device(config.trainer.accelerator))
        return _evaluate(run, checkpoints, evaluations, loggers)


@contextmanager
def _explained_write_errors(directory: Path) -> Generator[None]:
    """Explain that the run directory can't be written.

    Raises:
        CompositionError: The block raised such an error.
    """
    try:
        yield
    except OSError as error:
        if not is_unwritable(directory, error):
            raise
        message = f"`run`: {str(directory)!r} can't be written: {error.strerror}. Copy it, and evaluate the copy."
        raise CompositionError(message) from error


def _evaluate(
    run: Run,
    checkpoints: Sequence[Checkpoint],
    evaluations: Mapping[str, EvaluationCallback],
    others: Sequence[Logger],
) -> dict[int, dict[str, float]]:
    """Evaluate each checkpoint; write the results even if an evaluation fails."""
    write_missing_end(run.directory)
    file_logger = FileLogger(run.directory, evaluated=True)
    loggers = [file_logger, *others]
    numbers: dict[int, dict[str, float]] = {}
    failures: dict[str, Exception] = {}
    try:
        for checkpoint in checkpoints:
            run.load(checkpoint)
            view = make_view(run, _count_workers(run.config), cache={})
            for key, evaluation in evaluations.items():
                evaluation.on_error = "stop"  # it raises, and the loop continues with the others
                try:
                    evaluation.evaluate(view, run.global_step, partial(_log, run=run, loggers=loggers))
                except Exception as error:
                    failures[_describe_failure(key, run.global_step, error)] = error
            numbers[run.global_step] = {
                name: value for name, (value, step) in file_logger.last_values.items() if step == run.global_step
            }
    finally:
        with without_local_settings():
            for logger in loggers:
                logger.finalize("success")
        write_metrics(run.directory)
        write_report(run.directory)
        print_values(sorted((name, value, step) for step in numbers for name, value in numbers[step].items()))
        print_closing({}, run.directory)
    if failures:
        raise EvaluationError("\n".join(failures)) from ExceptionGroup("failed evaluations", [*failures.values()])
    return numbers


def _describe_failure(key: str, global_step: int, error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, EvaluationError) else error
    assert isinstance(cause, Exception)
    return f"`{key}` failed at step {global_step}: {describe_error(cause)}"


def _count_workers(config: DictConfig) -> int:
    """Return the number of data-loading workers of a config, at most one for each core."""
    number = OmegaConf.select(config, "device.num_workers", throw_on_resolution_failure=False)
    return max(0, min(number, os.cpu_count() or 1)) if isinstance(number, int) else 0


def _open(config: DictConfig, targets: Sequence[str]) -> tuple[Run, list[Checkpoint]]:
    """Open the run. Targets on the command line are allowed."""
    if OmegaConf.is_missing(config, "run"):
        raise CompositionError("`run` is missing. Set `run=FOLDER` to a run directory, a checkpoint, or a run on W&B.")
    allow = [config.allow] if isinstance(config.allow, str) else config.allow
    if not isinstance(allow, list | ListConfig) or not all(isinstance(name, str) for name in allow):
        raise CompositionError(f"`allow` must be a list of names, such as `allow=[my_package]`, got {config.allow!r}.")
    return open_run(str(config.run), str(config.weights), [*allow, *targets], config.device)


def _iterate_targets(options: Any) -> Iterator[str]:
    if isinstance(options, dict):
        if isinstance(options.get("_target_"), str):
            yield options["_target_"]
        options = list(cast(dict[str, Any], options).values())
    if isinstance(options, list):
        for option in cast(list[Any], options):
            yield from _iterate_targets(option)


def _as_mapping(config: DictConfig, group: str) -> DictConfig:
    """Return the components of a group by name, or by position in a list."""
    node: Any = config.get(group)
    if isinstance(node, ListConfig):
        items = cast(list[Any], OmegaConf.to_container(node, resolve=False))
        node = OmegaConf.create({str(index): item for index, item in enumerate(items)})
    if node is None:
        return OmegaConf.create({})
    if not isinstance(node, DictConfig):
        raise CompositionError(f"`{group}` must be a mapping of names to components, got {node!r}.")
    for name, item in node.items():
        if not isinstance(item, DictConfig | None):
            raise CompositionError(f"`{group}.{name}` must be a component with a `_target_`, got {item!r}.")
    return node


def _delete(config: DictConfig, key: str) -> None:
    """Remove an evaluation.

    Raises:
        CompositionError: The key does not exist.
    """
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent)
    names = [str(other) for other in node] if isinstance(node, DictConfig) else []
    if name not in names:
        present = ", ".join(names) or "nothing"
        raise CompositionError(f"`{parent}` has no `{name}` to remove, only {present}.{suggest(name, names)}")
    del node[name]


def _build_evaluations(run: Run) -> dict[str, EvaluationCallback]:
    """Build the evaluations, and check their capabilities, splits and names before any of them runs."""
    built = {f"evaluation.{name}": item for name, item in run.instantiate("evaluation").items() if item is not None}
    if not built:
        raise CompositionError("`evaluation` is empty. `+evaluation=elbo` adds an evaluation.")
    problems: list[CompositionError] = []
    for key, evaluation in built.items():
        if not isinstance(evaluation, EvaluationCallback):
            hint = suggest(key, [other for other in built if other != key])
            raise CompositionError(f"`{key}` must be an `EvaluationCallback`, got {evaluation!r}.{hint}")
        try:
            evaluation.check_evaluator(run)
        except Exception as error:
            kind = "" if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
            problems.append(CompositionError(f"`{key}`: {kind}{error}"))
    raise_any([*problems, *find_mismatches(Parts(callbacks=dict(built)))])
    return built


def _report_other_splits(evaluations: Mapping[str, EvaluationCallback], own: Mapping[str, Any]) -> None:
    """Print a notice if the run has logged another split under the same name."""
    splits = {item.name: OmegaConf.select(item, "evaluator.evaluate_on") for item in own.values() if item is not None}
    for key, evaluation in evaluations.items():
        before, now = splits.get(evaluation.name), evaluation.evaluator.evaluate_on
        if before is not None and before != now:
            print_notice(
                f"`{key}`: the run has logged {evaluation.name!r} on {before!r}, and now it is evaluated on {now!r}. "
                f"Set `{key}.name=...` to keep them apart."
            )


def _build_loggers(run: Run) -> list[Logger]:
    """Build the loggers of the run that are allowed. They continue its logs."""
    run.config.logger = _as_mapping(run.config, "logger")
    for name in continue_wandb_runs(run.config, run.directory):
        print_notice(f"`logger.{name}` is skipped: the run directory does not name its run on W&B.")
        run.config.logger[name] = None
    loggers: list[Logger] = []
    for name, node in run.config.logger.items():
        try:
            logger = None if node is None else run.instantiate(f"logger.{name}")
        except NotAllowedError as error:
            print_notice(f"`logger.{name}` is skipped. {error}")
            continue
        if not isinstance(logger, Logger | None):
            raise CompositionError(f"`logger.{name}` must be a `Logger`, got {logger!r}.")
        loggers += [] if logger is None else [logger]
    return loggers


def _choose_device(accelerator: str) -> torch.device:
    """Return the first device of a Trainer with this accelerator."""
    present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if present is None or accelerator == "cpu" else present


def _log(name: str, entry: LogEntry, run: Run, loggers: Sequence[Logger]) -> None:
    with without_local_settings():
        for logger in loggers:
            if isinstance(logger, EntryLogger):
                logger.log(name, entry, run.global_step, run.counters)
            else:
                log_with(logger, name, entry, run.global_step)
