"""Images sampled from a model."""

from collections.abc import Callable
from inspect import Parameter, signature
from math import ceil, sqrt
from typing import Any

import torch
from torch import Tensor

from frame_core import Evaluation, GenerativeModel, LogEntry, Optimization, check_count, get_split, suggest
from frame_eval.conditions import check_conditions, read_conditions
from frame_eval.pictures.images import check_images, make_grid_entry, spread_indices


class ImageSampleEvaluation(Evaluation):
    """Grid of generated images, as close to square as possible.

    A conditional model generates an image for each of ``n_pictures`` examples that are spread evenly over a split,
    given their conditions, such as their labels.

    Args:
        n_pictures: Number of images. For a conditional model, more than the split has means all.
        evaluate_on: Name of the split whose examples have the conditions. Other models need none.
        sampling: Further arguments of the model's ``sample``, such as ``sample_output=True``. `check` compares their
            names with its parameters. They replace conditions of the same name.

    Raises:
        TypeError: ``n_pictures`` is not an integer.
        ValueError: ``n_pictures`` is not positive.
    """

    requires = GenerativeModel

    def __init__(self, n_pictures: int = 64, evaluate_on: str | None = None, **sampling: Any) -> None:
        self.n_pictures = check_count("n_pictures", n_pictures)
        self.evaluate_on = evaluate_on or ""
        self.sampling = sampling

    def check(self, optimization: Optimization) -> None:
        """Check that the model's ``sample`` takes what it is given, and is given what it needs.

        Raises:
            TypeError: ``sample`` has no such parameter, or a condition is missing.
        """
        assert isinstance(optimization.model, GenerativeModel)  # `requires`
        sample = optimization.model.sample
        _, *parameters = signature(sample).parameters.values()
        choices = [part.name for part in parameters if part.kind is not Parameter.VAR_KEYWORD]
        unknown = [name for name in self.sampling if name not in choices]
        if unknown and len(choices) == len(parameters):
            raise TypeError(
                f"`{type(self).__name__}` has no argument `{unknown[0]}`. It has `n_pictures`, `evaluate_on` and the "
                f"parameters of `{sample.__qualname__}`: {', '.join(f'`{name}`' for name in choices)}."
                f"{suggest(unknown[0], ['n_pictures', 'evaluate_on', *choices])}"
            )
        check_conditions(optimization.model, {*self.sampling, *self._read_conditions(optimization, n_pictures=1)})

    def evaluate(self, optimization: Optimization) -> LogEntry:
        """Draw the grid.

        Raises:
            TypeError: The model does not return a tensor.
            ValueError: The samples are not images with 1 or 3 channels.
        """
        assert isinstance(optimization.model, GenerativeModel)  # `requires`
        conditions = self._read_conditions(optimization, self.n_pictures)
        sample: Callable[..., Tensor] = optimization.model.sample
        images = sample(torch.Size([] if conditions else [self.n_pictures]), **conditions, **self.sampling)
        check_images(f"{type(optimization.model).__name__}.sample", images)
        return make_grid_entry(images, n_columns=ceil(sqrt(len(images))))

    def _read_conditions(self, optimization: Optimization, n_pictures: int) -> dict[str, Any]:
        """Return the conditions of examples of the split that the model takes; none if no split is named."""
        if not self.evaluate_on:
            return {}
        indices = spread_indices(len(get_split(optimization.data, self.evaluate_on)), n_pictures)
        conditions = read_conditions(optimization, self.evaluate_on, indices)
        return {name: conditions[name] for name in conditions if name not in self.sampling}
