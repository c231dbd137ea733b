"""Every use of Lightning's internals: an upgrade of Lightning is a review of this file.

Internals are private names, the loops behind ``trainer.fit_loop``, and the layout of ``checkpoint["loops"]``.
"""

import os
from contextlib import nullcontext
from typing import Any, cast

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import DDPStrategy

_NOTHING = nullcontext("")


def disable_nvml_probe() -> None:
    """Stop torch from searching for a driver in every step on a machine without a device.

    Lightning sets a variable that makes torch load NVIDIA's library whenever it is asked for a device, so that a
    process that is forked later can use the device. Adam asks in every step.
    """
    if not torch.accelerator.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


class NoProfiler(PassThroughProfiler):
    """Measures nothing at no cost; Lightning's own makes a generator for each hook of each callback in each step."""

    def profile(self, action_name: str) -> Any:
        return _NOTHING


def get_cluster_environment(trainer: Trainer) -> ClusterEnvironment:
    """Return the cluster environment; the strategy of a single device has none of its own."""
    return cast(Any, trainer)._accelerator_connector.cluster_environment


def find_unused_parameters(strategy: DDPStrategy) -> None:
    """Make DDP find the parameters that a loss does not use, unless the strategy was given its own choice."""
    cast(Any, strategy)._ddp_kwargs.setdefault("find_unused_parameters", True)


def disable_sigterm_broadcast(trainer: Trainer) -> None:
    """Stop Lightning's own handling of SIGTERM from synchronizing the ranks, and the device, in every step."""
    cast(Any, trainer).fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None


def stop_training(trainer: Trainer) -> None:
    """End the training after the current step, even before ``min_epochs`` and ``min_steps``."""
    trainer.fit_loop.min_epochs = None
    trainer.fit_loop.epoch_loop.min_steps = None
    trainer.should_stop = True


def count_batches(trainer: Trainer) -> tuple[int, int]:
    """Return the numbers of batches of this epoch that are begun and that are done."""
    batches = cast(Any, trainer).fit_loop.epoch_loop.batch_progress.current
    return batches.ready, batches.processed


def count_all_batches(trainer: Trainer) -> int:
    """Return the number of batches of all epochs that are begun."""
    return trainer.fit_loop.total_batch_idx + 1


def get_trainer(module: LightningModule) -> Trainer | None:
    """Return the trainer of a module, or None if it has none yet; the public property raises then."""
    return cast(Any, module)._trainer


def write_position(checkpoint: dict[str, Any], epoch: int, batch: int) -> None:
    """Write the state of Lightning's loops as it is before a batch (of the Trainer) of an epoch.

    Lightning knows several states between two batches and between two epochs. Resuming from some of them skips a batch
    or an epoch.
    """
    fit_loop = checkpoint["loops"]["fit_loop"]
    begun = {"ready": epoch + (batch > 0), "started": epoch + (batch > 0)}
    for counts in fit_loop["epoch_progress"].values():
        counts.update({"processed": epoch, "completed": epoch, **begun})
    batches = fit_loop["epoch_loop.batch_progress"]
    batches["is_last_batch"] = False
    batches["total"].update(dict.fromkeys(batches["total"], batches["total"]["processed"]))
    batches["current"].update(dict.fromkeys(batches["current"], batch))


def write_global_step(checkpoint: dict[str, Any], global_step: int) -> None:
    """Write the global step for automatic and for manual optimization: a resumed run may use the other one."""
    fit_loop = checkpoint["loops"]["fit_loop"]
    steps = {"ready": global_step, "completed": global_step}
    fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"].update(steps)
    fit_loop["epoch_loop.manual_optimization.optim_step_progress"]["total"].update(steps)
