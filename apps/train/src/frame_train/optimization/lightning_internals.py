"""Every use of Lightning's internals. Review this file when you upgrade Lightning.

Internals are private names, the loops below ``trainer.fit_loop``, and the layout of ``checkpoint["loops"]``.
"""

import os
import re
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.utilities.types import Optimizable
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, WeightAveraging
from pytorch_lightning.core.optimizer import (
    _init_optimizers_and_lr_schedulers,  # pyright: ignore[reportPrivateUsage]
    _MockOptimizer,  # pyright: ignore[reportPrivateUsage]
)
from pytorch_lightning.loops.utilities import _parse_loop_limits  # pyright: ignore[reportPrivateUsage]
from pytorch_lightning.plugins import Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch import Tensor, nn

_NOTHING = nullcontext("")


def disable_nvml_probe() -> None:
    """Stop torch from searching for a driver in every step on a machine without a GPU.

    Lightning sets a variable for processes that are forked later. Because of it, torch loads NVIDIA's library whenever
    Adam asks for a device, which is in every step.
    """
    if not torch.accelerator.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


class NoProfiler(PassThroughProfiler):
    """Profiler that measures nothing at no cost. Lightning's makes a generator for each hook of each callback."""

    def profile(self, action_name: str) -> Any:
        return _NOTHING


class DefinedHooks(Precision):
    """32-bit precision that calls the hooks around backward and the optimizer's step only where they are defined.

    Lightning's own class calls the empty hooks of every callback, which takes longer than the step of a small network.
    The defined hooks are looked up at the first call, and again if the callbacks or the module change. Lightning's
    search for a learning rate, for example, takes its first steps without the callbacks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._owners: list[Any] = []
        self._defined: dict[str, list[Callable[..., Any]]] = {}

    def pre_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._call_defined("on_before_backward", module, tensor)
        return tensor

    def post_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._call_defined("on_after_backward", module)
        return tensor.detach()

    def _after_closure(self, model: LightningModule, optimizer: Any) -> None:
        self._call_defined("on_before_optimizer_step", model, optimizer)
        trainer = model.trainer
        self._clip_gradients(model, optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)

    def _call_defined(self, name: str, module: Any, *arguments: Any) -> None:
        """Call a hook of each callback that defines it, then that of the module, as Lightning does."""
        owners = [*module.trainer.callbacks, module]
        if owners != self._owners:
            self._owners = owners
            self._defined.clear()
        if name not in self._defined:
            self._defined[name] = _list_defined(name, module)
        for call in self._defined[name]:
            previous, module._current_fx_name = module._current_fx_name, name  # which `self.log` reads
            call(*arguments)
            module._current_fx_name = previous


def skip_empty_hooks(trainer: Trainer) -> None:
    """Call only defined hooks around each step, unless a profiler measures them or the precision is not 32 bits."""
    if type(trainer.precision_plugin) is Precision and isinstance(cast(Any, trainer).profiler, NoProfiler):
        trainer.strategy.precision_plugin = DefinedHooks()


def _list_defined(name: str, module: LightningModule) -> list[Callable[..., Any]]:
    """List a hook of each callback that defines it, then that of the module if it defines it."""
    callbacks = cast(list[Any], cast(Any, module.trainer).callbacks)
    of_callbacks = [
        partial(getattr(callback, name), module.trainer, module)
        for callback in callbacks
        if _defines(callback, name, Callback)
    ]
    return [*of_callbacks, getattr(module, name)] if _defines(module, name, LightningModule) else of_callbacks


def _defines(owner: Any, name: str, base: type) -> bool:
    """Return whether an object has another hook than its base class, such as one that `LambdaCallback` sets on it."""
    return getattr(getattr(owner, name), "__func__", None) is not getattr(base, name)


def get_cluster_environment(trainer: Trainer) -> ClusterEnvironment:
    """Return the cluster environment, even if the strategy of the trainer is for a single device."""
    return cast(Any, trainer)._accelerator_connector.cluster_environment


def find_unused_parameters(strategy: DDPStrategy) -> None:
    """Make DDP find the parameters that a loss does not use, unless the strategy already has this option."""
    cast(Any, strategy)._ddp_kwargs.setdefault("find_unused_parameters", True)


def check_early_stopping(callback: EarlyStopping, trainer: Trainer) -> None:
    """Compare the monitored metric with its best value, and end training if it no longer improves."""
    cast(Any, callback)._run_early_stopping_check(trainer)


def disable_sigterm_broadcast(trainer: Trainer) -> None:
    """Stop Lightning's handling of SIGTERM, which synchronizes the ranks and the device in every step."""
    cast(Any, trainer).fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None


def stop_training(trainer: Trainer) -> None:
    """End training after the current step, even before ``min_epochs`` and ``min_steps``."""
    trainer.fit_loop.min_epochs = None
    trainer.fit_loop.epoch_loop.min_steps = None
    trainer.should_stop = True


def is_at_end(trainer: Trainer) -> bool:
    """Return whether the last step of the training is done. A run that is resumed from it does nothing."""
    loop = cast(Any, trainer).fit_loop
    n_epochs = trainer.current_epoch + loop.epoch_loop.batch_progress.is_last_batch
    return loop.done or (trainer.max_epochs is not None and -1 < trainer.max_epochs <= n_epochs)


def count_batches(trainer: Trainer) -> tuple[int, int]:
    """Return the numbers of batches of this epoch that have begun, and that are done."""
    batches = cast(Any, trainer).fit_loop.epoch_loop.batch_progress.current
    return batches.ready, batches.processed


def count_all_batches(trainer: Trainer) -> tuple[int, int]:
    """Return the numbers of batches of all epochs that have begun, and that are done."""
    batches = cast(Any, trainer).fit_loop.epoch_loop.batch_progress.total
    return batches.started, batches.processed


def read_position(trainer: Trainer) -> tuple[int, int]:
    """Return the epoch and the batch (of the Trainer) with which training continues."""
    fit_loop = cast(Any, trainer.fit_loop)
    epochs, batches = fit_loop.epoch_progress.current, fit_loop.epoch_loop.batch_progress
    n_begun, n_done = count_batches(trainer)
    is_over = epochs.started == epochs.processed  # the latest epoch, even if it ends early
    if is_over and n_done == 0:  # a resumed run that has not begun an epoch
        return epochs.processed, 0
    epoch = epochs.processed - is_over
    return (epoch + 1, 0) if batches.is_last_batch and n_begun == n_done else (epoch, n_done)


def get_trainer(module: LightningModule) -> Trainer | None:
    """Return the trainer of a module, or None if it has none, in which case the public property raises."""
    return cast(Any, module)._trainer


@contextmanager
def attached(module: LightningModule, trainer: Trainer) -> Generator[None]:
    """Attach a module to a trainer as `fit` does before it makes the optimizers, and detach it afterwards."""
    loop = trainer.fit_loop
    limits = loop.min_epochs, loop.max_epochs
    try:
        trainer.strategy.connect(module)
        cast(Any, trainer)._data_connector.attach_data(module)
        loop.min_epochs, loop.max_epochs = _parse_loop_limits(loop.min_steps, loop.max_steps, *limits, trainer)
        yield
    finally:
        loop.min_epochs, loop.max_epochs = limits
        discard_loader(trainer)
        cast(Any, module).trainer = None


def make_optimizers(module: LightningModule) -> tuple[list[Optimizable], list[LRSchedulerConfig]]:
    """Make the optimizers and the schedules of an attached module, from any return value that Lightning accepts.

    Raises:
        Exception: `configure_optimizers` raises it, or Lightning does not accept what it returns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are repeated in training
        optimizers, schedules = _init_optimizers_and_lr_schedulers(module)
    return [optimizer for optimizer in optimizers if not isinstance(optimizer, _MockOptimizer)], schedules


def discard_loader(trainer: Trainer) -> None:
    """Discard the loader of training batches and end its workers, so that the trainer requests a new one."""
    trainer.fit_loop.teardown()
    cast(Any, trainer).fit_loop._combined_loader = None


def count_epoch_batches(trainer: Trainer) -> float:
    """Return the number of batches in an epoch, even before training begins; infinity if it is unknown."""
    trainer.fit_loop.setup_data()
    return trainer.num_training_batches


def find_unlogged_metric(error: BaseException) -> str | None:
    """Return the metric that `EarlyStopping` needs and that nothing has logged; None for any other error."""
    match = re.match("Early stopping conditioned on metric `(.+)` which is not available", str(error))
    return None if match is None else match[1]


def list_averaged(trainer: Trainer) -> list[nn.Module]:
    """Return the averaged copy of the module of each `WeightAveraging`, once the trainer has set it up."""
    callbacks = cast(list[Any], cast(Any, trainer).callbacks)
    return [
        cast(Any, callback)._average_model.module for callback in callbacks if isinstance(callback, WeightAveraging)
    ]


def write_position(checkpoint: dict[str, Any], epoch: int, batch: int) -> None:
    """Write the state that Lightning's loops have before a batch (of the Trainer) of an epoch.

    Between two batches or two epochs, the loops have several states. A resume from some of them skips a batch or an
    epoch.
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
    """Write the global step for automatic and manual optimization, because a resumed run may use the other one."""
    fit_loop = checkpoint["loops"]["fit_loop"]
    steps = {"ready": global_step, "completed": global_step}
    fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"].update(steps)
    fit_loop["epoch_loop.manual_optimization.optim_step_progress"]["total"].update(steps)
