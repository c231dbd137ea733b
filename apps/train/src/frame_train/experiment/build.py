"""An experiment, built from its composed config and checked before anything trains."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import DictConfig
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy

from frame_core import Optimization
from frame_loggers import FileLogger
from frame_train.callbacks import StopOnSignal
from frame_train.composition.objects import Composition, trace_in
from frame_train.distributed.launcher import check_processes
from frame_train.errors import CompositionError, raise_any
from frame_train.experiment.compatibility import find_mismatches
from frame_train.experiment.dry_run import find_networks, make_optimizers, try_loss
from frame_train.experiment.parts import build_parts
from frame_train.experiment.trainer import build_trainer, check_trainer
from frame_train.optimization.lightning_internals import disable_nvml_probe, find_unused_parameters
from frame_train.optimization.module import Procedure


@dataclass(frozen=True)
class Experiment:
    """What a config composes: a procedure, the trainer that runs it, the log that is always written, what stops it."""

    optimization: LightningModule
    trainer: Trainer
    file_logger: FileLogger
    stop: StopOnSignal


def build_experiment(config: DictConfig, directory: Path) -> Experiment:
    """Build the procedure, the evaluations, callbacks, loggers and the trainer of a config.

    Args:
        config: The composed config.
        directory: Where the run is written.

    Raises:
        CompositionError: Something can't be built, or does not fit the rest; the message names its key.
    """
    problems: list[CompositionError] = []
    composition = Composition()
    parts = build_parts(config, composition, problems)
    raise_any(problems)
    assert parts.optimization is not None  # nothing went wrong
    assert parts.make_trainer is not None
    raise_any([trace_in(config, problem) for problem in find_mismatches(parts)])
    try:
        try_loss(cast(Optimization, parts.optimization), find_networks(composition))
        make_optimizers(parts.optimization)
    except CompositionError as error:
        raise trace_in(config, error) from error
    file_logger = FileLogger(directory)
    stop = StopOnSignal()
    callbacks = {"stop": stop, **parts.callbacks}
    trainer = build_trainer(
        parts.make_trainer,
        callbacks,
        [file_logger, *parts.loggers.values()],
        directory,
        use_distributed_sampler=not isinstance(parts.optimization, Procedure),  # whose sampler knows of processes
    )
    check_trainer(parts.optimization, trainer)
    check_processes(trainer)
    if isinstance(parts.optimization, Procedure):
        parts.optimization.choose_trips(trainer)
    if isinstance(trainer.strategy, DDPStrategy) and not parts.optimization.automatic_optimization:
        find_unused_parameters(trainer.strategy)  # the loss of one optimizer does not use what another one steps
    disable_nvml_probe()
    return Experiment(parts.optimization, trainer, file_logger, stop)
