"""A run that was trained, evaluated: from its directory to its last page."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from frame_core import EntryLogger, LogEntry
from frame_loggers import FileLogger
from frame_train.callbacks import EvaluationCallback
from frame_train.errors import CompositionError, suggest
from frame_train.report import write_report
from frame_train.run import continue_wandb_runs, write_missing_end
from frame_train.stored.checkpoint import Checkpoint
from frame_train.stored.run import Run, open_run
from frame_train.terminal import print_closing, print_notice, print_values, quiet_libraries


def evaluate(config: DictConfig, adds_evaluations: bool, sets_device: bool) -> None:
    """Evaluate the checkpoints of a run, and append what is found to its logs.

    Args:
        config: The composed config of the command.
        adds_evaluations: Whether it has evaluations of its own, in place of those of the run.
        sets_device: Whether it says where the data are, in place of what the run says.

    Raises:
        CompositionError: The run can't be brought back, or an evaluation does not fit it.
    """
    quiet_libraries()
    options = cast(dict[str, Any], OmegaConf.to_container(config.evaluation, resolve=False))
    run, checkpoints = _open(config, list(_iterate_targets(options)))
    for checkpoint in checkpoints:
        run.load(checkpoint)  # each fits, or nothing is evaluated
    if sets_device:
        run.move_data(config.device)
    own = _as_mapping(run.config.get("evaluation"))
    run.config.evaluation = options if adds_evaluations else OmegaConf.merge(own, options)
    evaluations = _build_evaluations(run)
    _tell_of_other_splits(evaluations, own)
    loggers = _build_loggers(run)
    run.model.to(_choose_device(config.trainer.accelerator))
    _evaluate(run, checkpoints, list(evaluations.values()), loggers)


def _evaluate(
    run: Run, checkpoints: Sequence[Checkpoint], evaluations: Sequence[EvaluationCallback], others: Sequence[Logger]
) -> None:
    """Evaluate each checkpoint, and write what was found so far also where an evaluation fails."""
    write_missing_end(run.directory)
    file_logger = FileLogger(run.directory)
    loggers = [file_logger, *others]
    values: dict[tuple[str, int], float] = {}
    try:
        for checkpoint in checkpoints:
            run.load(checkpoint)
            for evaluation in evaluations:
                evaluation.evaluate(run, run.global_step, partial(_log, run=run, loggers=loggers))
            values |= {(name, run.global_step): value for name, (value, _) in file_logger.last_values.items()}
    finally:
        for logger in loggers:
            logger.finalize("success")
        write_report(run.directory)
        print_values([(name, value, step) for (name, step), value in sorted(values.items())])
        print_closing({}, run.directory)


def _open(config: DictConfig, targets: Sequence[str]) -> tuple[Run, list[Checkpoint]]:
    """Open the run; the command line allows what it names itself."""
    if OmegaConf.is_missing(config, "run"):
        raise CompositionError("`run` is missing: `run=FOLDER` names a run directory, a checkpoint, or a run on W&B.")
    allow = [config.allow] if isinstance(config.allow, str) else list(config.allow)
    return open_run(str(config.run), str(config.weights), [*map(str, allow), *targets], config.device)


def _iterate_targets(options: Any) -> Iterator[str]:
    if isinstance(options, dict):
        if isinstance(options.get("_target_"), str):
            yield options["_target_"]
        options = list(cast(dict[str, Any], options).values())
    if isinstance(options, list):
        for option in cast(list[Any], options):
            yield from _iterate_targets(option)


def _as_mapping(node: DictConfig | ListConfig | None) -> DictConfig:
    """Give the components of a group by name, of a list by position."""
    if isinstance(node, ListConfig):
        items = cast(list[Any], OmegaConf.to_container(node, resolve=False))
        return OmegaConf.create({str(index): item for index, item in enumerate(items)})
    return OmegaConf.create({}) if node is None else node


def _build_evaluations(run: Run) -> dict[str, EvaluationCallback]:
    """Build the evaluations, and find before any of them runs what would fail: a capability, a split, a name."""
    built = {f"evaluation.{name}": item for name, item in run.instantiate("evaluation").items() if item is not None}
    if not built:
        raise CompositionError("`evaluation`: the run has none of its own; `+evaluation=elbo` adds one.")
    keys_by_name: dict[str, str] = {}
    for key, evaluation in built.items():
        if not isinstance(evaluation, EvaluationCallback):
            hint = suggest(key, [other for other in built if other != key])
            raise CompositionError(f"`{key}` must be an `EvaluationCallback`, got {evaluation!r}.{hint}")
        if keys_by_name.setdefault(evaluation.name, key) != key:
            other = keys_by_name[evaluation.name]
            raise CompositionError(f"`{key}.name`: {evaluation.name!r} is the name of `{other}` too.")
        try:
            evaluation.check_evaluator(run)
        except (TypeError, ValueError) as error:
            raise CompositionError(f"`{key}`: {error}") from error
    return built


def _tell_of_other_splits(evaluations: Mapping[str, EvaluationCallback], own: Mapping[str, Any]) -> None:
    """Tell of a name under which the run has logged what it found on another split."""
    splits = {item.name: OmegaConf.select(item, "evaluator.evaluate_on") for item in own.values() if item is not None}
    for key, evaluation in evaluations.items():
        before, now = splits.get(evaluation.name), evaluation.evaluator.evaluate_on
        if before is not None and before != now:
            print_notice(
                f"`{key}`: the run has logged {evaluation.name!r} of {before!r}, and this is of {now!r}; "
                f"`{key}.name=...` gives it a name of its own."
            )


def _build_loggers(run: Run) -> list[Logger]:
    """Build the loggers of the run again, so that they go on where they ended."""
    run.config.logger = _as_mapping(run.config.get("logger"))
    for name in continue_wandb_runs(run.config, run.directory):
        print_notice(f"`logger.{name}`: nothing in the run directory says which run on W&B it is; left out.")
        run.config.logger[name] = None
    return [logger for logger in run.instantiate("logger").values() if logger is not None]


def _choose_device(accelerator: str) -> torch.device:
    """Give the device that a Trainer with this accelerator takes first."""
    present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if present is None or accelerator == "cpu" else present


def _log(name: str, entry: LogEntry, run: Run, loggers: Sequence[Logger]) -> None:
    for logger in loggers:
        if isinstance(logger, EntryLogger):
            logger.log(name, entry, run.global_step, run.counters)
