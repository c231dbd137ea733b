"""An experiment, built from its composed config and checked before training."""

from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy

from frame_loggers import FileLogger
from frame_train.callbacks import StopOnSignal
from frame_train.composition.objects import Composition
from frame_train.distributed.launcher import check_processes
from frame_train.errors import raise_any
from frame_train.experiment.compatibility import find_mismatches, find_unknown_metrics, find_unregistered
from frame_train.experiment.dry_run import find_loss_problems, find_optimizer_problems
from frame_train.experiment.notices import find_notices
from frame_train.experiment.parts import Check, build_parts, find_unbuilt, run_checks
from frame_train.experiment.static_checks import find_static_problems
from frame_train.experiment.trainer import build_trainer
from frame_train.optimization.lightning_internals import disable_nvml_probe, find_unused_parameters
from frame_train.optimization.module import OptimizationModule
from frame_train.runs.transfer.pretrained import find_misplaced

_CHECKS: tuple[Check, ...] = (
    find_unbuilt,
    find_mismatches,
    find_unknown_metrics,
    find_loss_problems,
)
"""Checks before the trainer is built. Each relies on the ones before it."""


@dataclass(frozen=True)
class Experiment:
    """An optimization module, its trainer, the log of every run, the callback that stops training, and notices."""

    optimization: LightningModule
    trainer: Trainer
    file_logger: FileLogger
    stop: StopOnSignal
    notices: Sequence[str]


def build_experiment(
    config: DictConfig, callbacks: Sequence[Callback] = (), n_planned: int | None = None
) -> Experiment:
    """Build the optimization, the evaluations, callbacks, loggers and the trainer of a config.

    Args:
        config: The composed config, with the directory of the run.
        callbacks: Callbacks of this process, in addition to those of the config.
        n_planned: The number of processes with which training began; None for a new run.

    Raises:
        CompositionError: Something can't be built, or does not work with the rest. The message names its key.
    """
    raise_any([*find_static_problems(config), *find_misplaced(config)])
    parts = build_parts(config, Composition())
    notices = list(find_unregistered(parts))  # before the dry run, in which a model may keep tensors
    raise_any(run_checks(_CHECKS, parts))
    assert parts.module is not None  # else there would be a mistake
    if isinstance(parts.module, OptimizationModule):
        parts.module.n_planned = n_planned
    file_logger = FileLogger(parts.directory)
    stop = StopOnSignal()
    parts.loggers = {"file": file_logger, **parts.loggers}
    parts.callbacks = {"stop": stop, **parts.callbacks, **{type(callback).__name__: callback for callback in callbacks}}
    trainer = parts.trainer = build_trainer(parts)
    check_processes(trainer)
    raise_any(find_optimizer_problems(parts))
    if isinstance(trainer.strategy, DDPStrategy) and not parts.module.automatic_optimization:
        find_unused_parameters(trainer.strategy)  # a loss does not use all parameters
    disable_nvml_probe()
    return Experiment(parts.module, trainer, file_logger, stop, [*notices, *find_notices(parts, trainer, config)])
