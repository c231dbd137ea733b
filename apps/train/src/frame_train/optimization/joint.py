"""Several models, one step."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from frame_core import Evaluation, LogEntry, Model, Optimization, SizedDataset, add_losses, check_requirements
from frame_train.data.augmentation import Augmentation
from frame_train.optimization.batch import BatchOptimization


class JointModel(Model):
    """Several models whose losses are added; what they share is one object, and is trained by each.

    Args:
        models: The models by name.

    Raises:
        ValueError: There are fewer than two.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        super().__init__()
        if len(models) < 2:
            raise ValueError(f"`models` must be two or more, got {list(models)}.")
        self.models = nn.ModuleDict(models)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the sum of the losses; each quantity of a model is given as ``<name>_<quantity>``."""
        models = cast(Mapping[str, Model], self.models)
        return add_losses({name: model.compute_loss(data, data_idx) for name, model in models.items()})


class JointOptimization(BatchOptimization):
    """Minimizes the sum of the losses of several models on the same batches, with one optimizer.

    `PartEvaluation` evaluates one of the models.

    Args:
        models: The models by name. Components that they share, such as an encoder, are one object.
        data: The splits of the data, ``train`` among them.
        num_workers: Number of processes that read a data set that is not in memory.
        batch_size: Number of data in a batch, of each process where there are several.
        optimizer: Makes the optimizer of some parameters.
        scheduler: Makes the schedule of the optimizer's learning rate; None for a constant one.
        scheduler_interval: Whether the schedule moves on after each ``epoch`` or each ``step``.
        pin_memory: Whether batches lie in pinned memory; without effect where there is no GPU.
        augmentation: Changes the pictures ``x`` of a training batch, on the model's device; None for no change.
        steps_per_trip: Greatest number of steps to one trip through the Trainer's loop (`BatchOptimization`).
        compile: Whether `torch.compile` compiles the loss, or its mode, such as ``reduce-overhead`` for CUDA graphs.

    Raises:
        ValueError: There are fewer than two models, a number is out of its range, or there are no
            training data.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        data: Mapping[str, SizedDataset],
        num_workers: int,
        batch_size: int,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        pin_memory: bool = True,
        augmentation: Augmentation | None = None,
        steps_per_trip: int = 1,
        compile: bool | str = False,  # noqa: A002  # as torch calls it
    ) -> None:
        super().__init__(
            JointModel(models),
            data,
            num_workers,
            batch_size,
            optimizer,
            scheduler,
            scheduler_interval,
            pin_memory,
            augmentation,
            steps_per_trip,
            compile,
        )


@dataclass(frozen=True)
class _Part:
    """One model of a joint optimization, seen as an optimization."""

    model: Model
    data: Mapping[str, SizedDataset]
    counters: Mapping[str, int]


class PartEvaluation(Evaluation):
    """Evaluates one model of a `JointOptimization`.

    Args:
        part: Name of the model.
        evaluator: What is evaluated.
    """

    requires = JointModel

    def __init__(self, part: str, evaluator: Evaluation) -> None:
        self.part = part
        self.evaluator = evaluator
        self.evaluate_on = evaluator.evaluate_on

    def check(self, optimization: Optimization) -> None:
        """Check that there is such a part, and that it has what the evaluator asks for.

        Raises:
            ValueError: There is none, or the evaluator finds something missing.
            TypeError: It lacks the capability that the evaluator needs, or something is of another kind.
        """
        check_requirements(self.evaluator, self._get_part(optimization))

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Evaluate the part.

        Raises:
            ValueError: There is no such part.
        """
        return self.evaluator.evaluate(self._get_part(optimization))

    def _get_part(self, optimization: Optimization) -> Optimization:
        assert isinstance(optimization.model, JointModel)  # `requires`
        models = optimization.model.models
        if self.part not in models:
            raise ValueError(f"`part` must be one of {', '.join(map(repr, models))}, got {self.part!r}.")
        model = models[self.part]
        assert isinstance(model, Model)  # as the constructor took it
        return _Part(model, optimization.data, optimization.counters)
