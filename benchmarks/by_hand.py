"""The loop of a method written by hand, with the networks of its experiment and the data in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from benchmarks.loops.batches import read_batches
from benchmarks.loops.method import Batch, Loss, Method, Updates
from benchmarks.loops.table import METHODS
from benchmarks.loops.updates import split_parameters
from benchmarks.ours import MAX_EPOCHS, compose
from frame_train.composition.objects import Composition
from frame_train.optimization.lightning_internals import disable_nvml_probe


@dataclass(frozen=True)
class Parts:
    """The parts of a loop: the method, its model, its data in memory and its settings."""

    method: Method
    model: Any
    tensors: dict[str, Tensor]
    settings: SimpleNamespace

    def read_batches(self) -> Iterator[tuple[float, Batch]]:
        """Yield shuffled batches forever, each with the number of complete epochs and its fraction."""
        return read_batches(self.tensors, self.settings.batch_size, self.method)


def train(data_root: Path, directory: Path, tick: Callable[[], None], name: str) -> None:
    """Train a method forever, and tick after each step of an optimizer."""
    disable_nvml_probe()  # that of Lightning, which the networks of the framework import
    parts = build(data_root, METHODS[name])
    losses = parts.method.make_losses(parts.model, parts.settings)
    updates = parts.method.make_updates(parts.model, parts.settings)
    if len(losses) == 1:
        _minimize(parts.read_batches(), losses[0], updates, tick)
    else:
        trained = split_parameters(parts.model)
        _alternate(parts.read_batches(), losses, updates, trained, parts.settings.n_critic, tick)


def build(data_root: Path, method: Method) -> Parts:
    """Build the model of a method, and read its data."""
    config = compose(data_root, method.arguments)
    composition = Composition()
    torch.manual_seed(0)
    model = composition.instantiate(config.model)
    data_set = composition.instantiate(config.data.train)
    return Parts(method, model, read_tensors(data_set), read_settings(config, len(data_set)))


def read_settings(config: DictConfig, n_examples: int) -> SimpleNamespace:
    """Return the params of an experiment, and the length of its training."""
    params: Any = OmegaConf.to_container(config.params, resolve=True)
    n_batches = -(-n_examples // params["batch_size"])
    return SimpleNamespace(**params, n_epochs=MAX_EPOCHS, n_updates=MAX_EPOCHS * n_batches)


def read_tensors(data_set: Any) -> dict[str, Tensor]:
    """Return the tensors of a data set in memory, or of the one that it wraps."""
    while hasattr(data_set, "data_set"):
        data_set = data_set.data_set
    return data_set._tensors


def _minimize(
    batches: Iterator[tuple[float, Batch]], compute_loss: Loss, updates: Updates, tick: Callable[[], None]
) -> None:
    ((optimizer, scheduler),) = updates
    for epoch, batch in batches:
        loss = compute_loss(batch, epoch)
        optimizer.zero_grad()  # here, so that the new gradients take the memory of the old ones
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        tick()


def _alternate(
    batches: Iterator[tuple[float, Batch]],
    losses: Sequence[Loss],
    updates: Updates,
    parameters: Sequence[Sequence[nn.Parameter]],
    n_critic: int,
    tick: Callable[[], None],
) -> None:
    for index, (epoch, batch) in enumerate(batches, 1):
        for part in (0, 1) if index % n_critic == 0 else (0,):
            optimizer, _ = updates[part]
            loss = losses[part](batch, epoch)
            optimizer.zero_grad()
            loss.backward(inputs=parameters[part])
            optimizer.step()
            tick()
