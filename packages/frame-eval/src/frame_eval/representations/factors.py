"""Known factors of variation of examples."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frame_core import Optimization, get_batch, get_split, get_tensor
from frame_eval.batches import BATCH_SIZE, iterate_split
from frame_eval.representations.encoding import encode_split


def check_factors(optimization: Optimization, split: str) -> None:
    """Check that the first example of a split has factors.

    Raises:
        ValueError: The split is missing, empty or without factors.
    """
    get_factors(get_batch(get_split(optimization.data, split), torch.tensor([0])), split)


def get_factors(batch: Mapping[str, Tensor], split: str) -> Tensor:
    """Return the factors of a batch, an integer tensor of shape (batch, n_factors).

    Raises:
        ValueError: The batch has no such ``factors``.
    """
    factors: object = batch.get("factors")
    if (
        not isinstance(factors, Tensor)
        or factors.ndim != 2
        or len(factors) != len(get_tensor(batch, "x"))
        or factors.is_floating_point()
        or factors.is_complex()
    ):
        raise ValueError(
            f"Split {split!r} of `data` has no factors: each example needs `factors`, a vector of integers, "
            "as `frame_train.data.Shapes` has."
        )
    return factors.long()


def check_variation(factors: Tensor, split: str) -> None:
    """Check that each factor, a column of a tensor of shape (n_samples, n_factors), has two values or more.

    Raises:
        ValueError: A factor has one value.
    """
    constant = (factors == factors[:1]).all(0).nonzero().flatten().tolist()
    if constant:
        raise ValueError(
            f"Each of the `factors` of split {split!r} must have two values or more; those at {constant} have one. "
            "Leave them out, or evaluate more examples."
        )


def encode_with_factors(optimization: Optimization, split: str) -> tuple[Tensor, Tensor]:
    """Return the mean representations and the factors of all examples of a split.

    Returns:
        Tensors of shape (n_examples, z_dim) and (n_examples, n_factors), on the device of the model.

    Raises:
        TypeError: The representation has no mean.
        ValueError: A batch has no factors, a factor has one value, or a representation is not finite.
    """
    batches = iterate_split(optimization, split, BATCH_SIZE)
    factors = torch.cat([get_factors(batch, split) for batch in batches])
    check_variation(factors, split)
    return encode_split(optimization, split)[0], factors


def split_in_half(z: Tensor, factors: Tensor, split: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Divide representations and their factors at random into examples to fit and examples to test.

    Raises:
        ValueError: A factor has one value among the examples to fit.
    """
    fit, test = torch.randperm(len(z)).to(z.device).tensor_split(2)
    check_variation(factors[fit], split)
    return (z[fit], factors[fit]), (z[test], factors[test])
