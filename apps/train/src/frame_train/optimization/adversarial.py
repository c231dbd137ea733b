"""Minimization of two losses with two optimizers in turn."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from frame_core import AdversarialModel, SizedDataset, as_tensors, check_count
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.module import OptimizationModule
from frame_train.optimization.optimizers import clear_gradients, list_trainable


class AdversarialOptimization(OptimizationModule):
    """Updates of the discriminator on every batch of ``data["train"]``, and of the generator on every ``n_critic``-th.

    The counters are ``iteration``, ``discriminator_step`` and ``generator_step``. The Trainer's global step is the sum
    of the last two. A step group has several batches.

    Args:
        model: The model.
        generator_optimizer: Function that makes the optimizer of the generator's parameters.
        discriminator_optimizer: Function that makes the optimizer of the discriminator's parameters.
        n_critic: Number of steps of the discriminator for each step of the generator.

    The other arguments are those of `OptimizationModule`.

    Raises:
        TypeError: The model has no generator and discriminator.
    """

    model: AdversarialModel

    def __init__(
        self,
        model: AdversarialModel,
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        generator_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        discriminator_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        n_critic: int = 1,
        pin_memory: bool = True,
        augmentation: Augmentation | None = None,
        steps_per_execution: int | None = 1,
        global_batch_size: int | None = None,
    ) -> None:
        if not isinstance(model, AdversarialModel):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"`model` must be an `AdversarialModel`, got a `{type(model).__name__}`.")
        super().__init__(
            model, data, num_workers, batch_size, pin_memory, augmentation, steps_per_execution, global_batch_size
        )
        self.automatic_optimization = False
        self.counters.update(discriminator_step=0, generator_step=0)
        self._make_generator_optimizer = generator_optimizer
        self._make_discriminator_optimizer = discriminator_optimizer
        self._n_critic = check_count("n_critic", n_critic)

    def count_batches(self, n_steps: int) -> int:
        return -(-n_steps * self._n_critic // (self._n_critic + 1))  # `n_critic` batches take `n_critic + 1` steps

    def configure_optimizers(self) -> list[Optimizer]:
        of_discriminator = list_trainable(self.model.discriminator)
        known = {id(parameter) for parameter in of_discriminator}
        others = [parameter for parameter in list_trainable(self.model) if id(parameter) not in known]
        return [self._make_generator_optimizer(others), self._make_discriminator_optimizer(of_discriminator)]

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.take_steps(self._take_turns, batch, batch_idx)

    def _take_turns(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Step the discriminator and, after `n_critic` of its steps, the generator."""
        quantities = self._step("discriminator", self.model.compute_discriminator_loss(batch, batch_idx))
        if self.counters["discriminator_step"] % self._n_critic == 0:
            quantities |= self._step("generator", self.model.compute_generator_loss(batch, batch_idx))
        return quantities

    def _step(self, part: str, computed: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """Step one optimizer on one loss, and return the quantities to log under the name of the part."""
        optimizers = cast(list[LightningOptimizer], self.optimizers())
        optimizer = optimizers[("generator", "discriminator").index(part)]
        quantities = as_tensors(computed)
        clear_gradients(optimizer)
        self.manual_backward(quantities["loss"])
        optimizer.step()
        self.counters[f"{part}_step"] += 1
        return {f"{part}_{name}": value for name, value in quantities.items()}
