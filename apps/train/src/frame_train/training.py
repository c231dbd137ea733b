"""One training run, from its composed config to its report."""

import signal
from collections.abc import Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import cast

from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer
from torch import nn

from frame_loggers.files import remove_leftovers
from frame_train.callbacks.ending.stopping import explain_early_end, is_stopped
from frame_train.composition.foreign.interpolations import escape
from frame_train.composition.settings import resolve_without_environment
from frame_train.console import print_notice
from frame_train.distributed.environment import set_process_counts
from frame_train.distributed.launcher import ending_with_parent, running_workers
from frame_train.distributed.slurm import is_requeue, requeue
from frame_train.errors import CompositionError, EvaluationError, TrainingError, suggest
from frame_train.experiment.build import Experiment, build_experiment
from frame_train.optimization.lightning_internals import find_unlogged_metric, get_cluster_environment, is_at_end
from frame_train.optimization.logs import truncate_logs
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.training_state import TrainingState
from frame_train.report import write_report
from frame_train.runs.checkpoint import check_weights, read_training_state
from frame_train.runs.checkpoint_files import find_newest, restore
from frame_train.runs.directory import (
    claimed,
    continue_wandb_runs,
    is_unwritable,
    make_run_directory,
    write_completion,
    write_description,
    write_end,
    write_resumption,
)
from frame_train.runs.result import Result, Status, read_result
from frame_train.runs.resumption import Resumption
from frame_train.runs.stored import read_config
from frame_train.runs.transfer.initialization import initialize_model
from frame_train.runs.transfer.pretrained import inline_pretrained
from frame_train.terminal import print_closing, print_config, print_wandb_page, quiet_libraries, silence_notices


@quiet_libraries()
def start(config: DictConfig, arguments: Sequence[str], callbacks: Sequence[Callback] = ()) -> Result:
    """Build an experiment and train it. If no step is taken, its run directory is removed.

    Args:
        config: The composed config.
        arguments: The arguments that it is composed from.
        callbacks: Callbacks of this process, in addition to those of the config.

    Raises:
        CompositionError: The experiment can't be built, or its directory can't be written.
        TrainingError: Training can't continue.
    """
    set_process_counts(config)
    with ExitStack() as removal, ExitStack() as claim:
        try:
            directory = removal.enter_context(make_run_directory(config))
            claim.enter_context(claimed(directory))
            config.run.directory = escape(str(directory))
            experiment = build_experiment(config, callbacks)
            lines = initialize_model(cast(nn.Module, experiment.optimization.model), config)
            sources = inline_pretrained(config)
            write_description(directory, config, arguments, sources)
            print_config(config, _describe_training(experiment))
            for line in (*experiment.notices, *lines):
                print_notice(line)
        except OSError as error:
            reason = error.strerror or error
            message = f"`device.experiments_root`: {config.device.experiments_root!r} can't be written: {reason}."
            raise CompositionError(message) from error
        with _explained_disk_errors(directory):
            try:
                return _run(experiment, config, directory)
            finally:
                if experiment.trainer.global_step > 0:
                    removal.pop_all().close()  # whatever is raised, the directory remains


@quiet_libraries()
def resume(config: DictConfig, resumption: Resumption, callbacks: Sequence[Callback] = ()) -> Result:
    """Resume a run from its newest intact checkpoint, as if it had never been stopped.

    Entries that were logged after the checkpoint are removed first, because they will be logged again.

    Args:
        config: The config of the run.
        resumption: The run, its checkpoint and the changes of its config.
        callbacks: Callbacks of this process, in addition to those of the config.

    Raises:
        CompositionError: Another process trains in its directory, or the experiment can't be built.
        TrainingError: Training can't continue.
    """
    directory = resumption.directory
    changes = [change for change in resumption.changes if not change.startswith("device.")]  # a machine may have others
    if resumption.is_complete and changes:
        raise CompositionError(
            f"`resume`: {str(directory)!r} is complete, so nothing reads the changes: {'; '.join(changes)}. "
            "Raise `trainer.max_epochs` to continue the run."
        )
    if resumption.is_complete:
        print_notice(f"{str(directory)!r} is already complete. Raise `trainer.max_epochs` to continue it.")
        return read_result(directory, config)
    set_process_counts(config)
    with _explained_disk_errors(directory), claimed(directory):
        for folder in (directory, directory / "checkpoints", directory / "images"):
            remove_leftovers(folder)
        checkpoint = restore(resumption.checkpoint)
        continued = deepcopy(config)
        continue_wandb_runs(continued, directory)
        state = read_training_state(checkpoint.path)
        experiment = build_experiment(continued, callbacks, state.n_planned)
        _check_length(experiment.trainer, state)
        shared = _describe_sharing(experiment, state)
        check_weights(experiment.optimization, checkpoint.path)
        print_config(config, _describe_training(experiment))
        for line in (*resumption.skipped, *resumption.changes, *shared):
            print_notice(line)
        print_notice(f"resumed at global step {checkpoint.global_step}")
        truncate_logs(experiment.trainer.loggers, state.logs)
        write_resumption(directory, config, checkpoint.global_step, resumption.changes)
        return _run(experiment, config, directory, checkpoint.path)


@quiet_libraries()
def train_as_worker(directory: Path) -> None:
    """Train a run as a worker rank. Only rank 0 writes to the run directory, to loggers and to the terminal.

    Args:
        directory: The run directory with the config. If it has a checkpoint, training resumes from it.

    Raises:
        TrainingError: Training can't continue.
    """
    silence_notices()
    with ending_with_parent():
        config = read_config(directory, allow=None)
        config.logger = {}
        newest, _ = find_newest(directory / "checkpoints")
        checkpoint = None if newest is None else newest.path
        state = None if checkpoint is None else read_training_state(checkpoint)
        experiment = build_experiment(config, n_planned=None if state is None else state.n_planned)
        with experiment.stop.listening():
            experiment.trainer.fit(experiment.optimization, ckpt_path=checkpoint, weights_only=True)


def _describe_sharing(experiment: Experiment, state: TrainingState) -> list[str]:
    """Describe how the processes share the batches of a run, if the number of processes is another one.

    Raises:
        CompositionError: The number of processes can't change.
    """
    module, n_processes = experiment.optimization, experiment.trainer.world_size
    if state.n_processes == n_processes:
        return []
    if not isinstance(module, OptimizationModule):
        raise CompositionError(
            f"`trainer.devices`: a run of your own `LightningModule` keeps its number of processes, expected "
            f"{state.n_processes}, got {n_processes}.",
            "trainer.devices",
        )
    batch_size = module.share_batches(experiment.trainer)
    return [f"processes: {state.n_processes} → {n_processes}, {batch_size} examples in each batch"]


def _check_length(trainer: Trainer, state: TrainingState) -> None:
    """Check that a checkpoint is not beyond the end of training."""
    if -1 < trainer.max_steps < state.global_step:
        raise CompositionError(
            f"`trainer.max_steps` must be at least {state.global_step}, the number of completed steps, "
            f"got {trainer.max_steps}.",
            "trainer.max_steps",
        )
    if trainer.max_epochs is not None and -1 < trainer.max_epochs < state.position.epoch:
        raise CompositionError(
            f"`trainer.max_epochs` must be at least {state.position.epoch}, the number of completed epochs, "
            f"got {trainer.max_epochs}.",
            "trainer.max_epochs",
        )


def _run(experiment: Experiment, config: DictConfig, directory: Path, checkpoint: Path | None = None) -> Result:
    """Train, write the report, and return the result."""
    trainer = experiment.trainer
    for logger in trainer.loggers:
        logger.log_hyperparams(resolve_without_environment(config))
    print_wandb_page(directory)
    with experiment.stop.listening():
        try:
            with running_workers(trainer, directory, on_loss=partial(write_end, directory)):
                trainer.fit(experiment.optimization, ckpt_path=checkpoint, weights_only=True)
        except BaseException as error:
            if checkpoint is not None or trainer.global_step > 0:
                _write_end(experiment, directory, is_complete=False)
            metric = find_unlogged_metric(error)
            if metric is not None:
                raise CompositionError(_describe_unlogged(metric, trainer.callback_metrics)) from error
            if isinstance(error, MisconfigurationException):
                raise CompositionError(f"`trainer`: {error}", "trainer") from error
            if isinstance(error, TrainingError | EvaluationError):
                kind = TrainingError if isinstance(error, TrainingError) else EvaluationError
                is_done = kind is EvaluationError and is_at_end(trainer) and not is_stopped(trainer)
                raise kind(
                    f"{error}\n{_describe_newest(directory, trainer.global_step if is_done else None)}"
                ) from error
            raise
        is_complete = not is_stopped(trainer)
        reason = explain_early_end(trainer) if is_complete else None
        if reason is not None:
            print_notice(f"training ended early, at global step {trainer.global_step}: {reason}")
        _write_end(experiment, directory, is_complete)
        is_idle = is_complete and trainer.global_step == 0 and 0 not in (trainer.max_epochs, trainer.max_steps)
        if is_idle and not experiment.optimization.automatic_optimization:
            print_notice("No optimizer has taken a step: `training_step` must call the `step` of an optimizer.")
        stopped_by = experiment.stop.received
        if is_complete or stopped_by is None:
            return read_result(directory, config)
        return read_result(directory, config, _report_stop(stopped_by, trainer, directory), stopped_by)


def _describe_training(experiment: Experiment) -> str:
    """Return the number of parameters, the device and the precision of a training."""
    trainer, parameters = experiment.trainer, list(experiment.optimization.parameters())
    n_parameters = sum(parameter.numel() for parameter in parameters)
    n_frozen = sum(parameter.numel() for parameter in parameters if not parameter.requires_grad)
    frozen = f" ({n_frozen:,} frozen)" if n_frozen else ""
    device = trainer.strategy.root_device.type
    devices = f"{trainer.world_size} × {device}" if trainer.world_size > 1 else device
    return f"{n_parameters:,} parameters{frozen}, {devices}, precision {trainer.precision}"


def _write_end(experiment: Experiment, directory: Path, is_complete: bool) -> None:
    """Write the end of the training and the report, and print the last metrics."""
    write_end(directory)
    write_report(directory)
    print_closing(experiment.file_logger.last_values, directory)
    if is_complete:
        write_completion(directory)


def _describe_unlogged(metric: str, logged: Collection[str]) -> str:
    return (
        f"`callbacks`: `EarlyStopping` compares {metric!r} after each epoch, and it was not logged by then, only "
        f"{', '.join(map(repr, logged)) or 'nothing'}. Monitor one of these, or evaluate it every '1 epoch'."
        f"{suggest(metric, logged)}"
    )


def _report_stop(received: signal.Signals, trainer: Trainer, directory: Path) -> Status:
    """Report the step at which training stopped, and requeue a SLURM job on request."""
    step = trainer.global_step
    newest, _ = find_newest(directory / "checkpoints")
    if newest is None:
        what = "there is no checkpoint to resume from"
    elif newest.global_step == step:
        what = f"`train resume={directory}` continues the run"
    else:  # another loader than ours can't resume within an epoch
        what = f"`train resume={directory}` continues from global step {newest.global_step}, the end of an epoch"
    print_notice(f"stopped by {received.name} at global step {step}; {what}")
    if is_requeue(received, get_cluster_environment(trainer)):
        problem = requeue() if trainer.is_global_zero else ""
        print_notice(f"SLURM does not requeue the job: {problem}" if problem else "SLURM requeues the job")
        if not problem:
            return "requeued"
    return "stopped"


@contextmanager
def _explained_disk_errors(directory: Path) -> Generator[None]:
    """Explain errors of a full disk or an unwritable or missing run directory, and name the last checkpoint.

    Raises:
        TrainingError: The block raised such an error.
    """
    try:
        yield
    except OSError as error:
        if not is_unwritable(directory, error):
            raise
        if not directory.exists():
            message = f"{str(directory)!r} no longer exists: it was deleted or moved while the run was trained."
            raise TrainingError(f"{message} If it was moved, `train resume=FOLDER` continues it.") from error
        message = f"{str(directory)!r} can't be written: {error.strerror}.\n{_describe_newest(directory)}"
        raise TrainingError(message) from error


def _describe_newest(directory: Path, last_step: int | None = None) -> str:
    """Describe the newest intact checkpoint, and what to do with it. A training that is done has a last step."""
    newest, _ = find_newest(directory / "checkpoints")
    if newest is None:
        return "There is no checkpoint."
    if newest.global_step == last_step:
        return f"Training is complete. `evaluate run={directory}` repeats the evaluations."
    return f"The last checkpoint has global step {newest.global_step}. `train resume={directory}` continues from it."
