"""Known factors of variation of examples, and the base class of evaluations that compare a representation with them."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from frame_core import Evaluation, Optimization, RepresentationLearningModel, get_batch, get_split, get_tensor
from frame_eval.batches import BATCH_SIZE, iterate_split
from frame_eval.representations.encoding import encode_split


class FactorEvaluation(Evaluation):
    """Evaluation of the representation of examples with known factors.

    Args:
        evaluate_on: Name of the split. Each example needs ``factors``, a vector of integers.
    """

    requires = RepresentationLearningModel

    def __init__(self, evaluate_on: str) -> None:
        self.evaluate_on = evaluate_on

    def check(self, optimization: Optimization) -> None:
        """Check that the first example has factors.

        Raises:
            ValueError: It has none.
        """
        get_factors(get_batch(get_split(optimization.data, self.evaluate_on), torch.tensor([0])), self.evaluate_on)

    def check_dimensions(self, n_dimensions: int) -> None:
        """Check that a representation has two dimensions or more, for an evaluation that compares dimensions.

        Raises:
            ValueError: It has fewer.
        """
        if n_dimensions < 2:
            raise ValueError(
                f"`{type(self).__name__}` needs a representation of two dimensions or more, got {n_dimensions}."
            )


def get_factors(batch: Mapping[str, Tensor], split: str) -> Tensor:
    """Return the factors of a batch, an integer tensor of shape (batch, n_factors).

    Raises:
        ValueError: The batch has no such ``factors``.
    """
    factors: object = batch.get("factors")
    if (
        not isinstance(factors, Tensor)
        or factors.ndim != 2
        or factors.shape[1] == 0
        or len(factors) != len(get_tensor(batch, "x"))
        or factors.is_floating_point()
        or factors.is_complex()
    ):
        raise ValueError(
            f"Split {split!r} of `data` has no factors: each example needs `factors`, a vector of integers, "
            "as `frame_train.data.Shapes` has."
        )
    return factors.long()


def collect_factors(batches: Iterable[Mapping[str, Tensor]], split: str) -> Tensor:
    """Return the factors of all batches of a split, with the values of each factor numbered from 0.

    Returns:
        Integer tensor of shape (n_examples, n_factors).

    Raises:
        ValueError: A batch has no factors, or a factor has one value, or another value for each example.
    """
    factors = torch.cat([get_factors(batch, split) for batch in batches])
    numbered = torch.stack([factor.unique(return_inverse=True)[1] for factor in factors.unbind(1)], 1)
    n_values = (numbered.amax(0) + 1).tolist()
    wrong = [f"factor {i} has {n}" for i, n in enumerate(n_values) if not 2 <= n < len(factors)]
    if wrong:
        raise ValueError(
            f"Each of the `factors` of split {split!r} needs two values or more, and fewer than there are examples, "
            f"{len(factors)}; {', '.join(wrong)}. Leave the factor out, or evaluate more examples."
        )
    return numbered


def encode_with_factors(optimization: Optimization, split: str) -> tuple[Tensor, Tensor]:
    """Return the mean representations and the factors of all examples of a split.

    Returns:
        Tensors of shape (n_examples, z_dim) and (n_examples, n_factors), on the device of the model. The values of
        each factor are numbered from 0.

    Raises:
        TypeError: The representation has no mean.
        ValueError: `collect_factors` raises it, or a representation is not finite.
    """
    factors = collect_factors(iterate_split(optimization, split, BATCH_SIZE), split)
    return encode_split(optimization, split)[0], factors


def split_in_half(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Divide examples at random into those to fit a classifier of a factor and those to test it.

    The halves share the examples of each value equally. Of an odd number, the first half has one more. So a classifier
    is fitted to every value, however rare.

    Args:
        factor: Integer tensor of shape (n_examples,).

    Returns:
        The indices of the examples of each half.
    """
    rows_by_value = [(factor == value).nonzero().flatten() for value in factor.unique()]
    halves = [rows[torch.randperm(len(rows)).to(rows.device)].tensor_split(2) for rows in rows_by_value]
    return torch.cat([fit for fit, _ in halves]), torch.cat([test for _, test in halves])
