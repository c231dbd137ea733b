import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from frame_architectures import AnyBatch, Flatten, Rescale, make_stack

SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def test_stack_is_linear_layers_each_followed_by_a_relu() -> None:
    stack = make_stack([3, 5, 2])
    first, second = (layer for layer in stack if isinstance(layer, nn.Linear))
    x = torch.randn(7, 3)
    hidden = (x @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(stack(x), (hidden @ second.weight.T + second.bias).clamp(min=0))


def test_stack_of_one_size_is_the_identity() -> None:
    x = torch.randn(7, 3)
    assert torch.equal(make_stack([3])(x), x)


def test_stack_takes_another_activation() -> None:
    stack = make_stack([3, 5, 2], nn.Tanh)
    first, second = (layer for layer in stack if isinstance(layer, nn.Linear))
    x = torch.randn(7, 3)
    torch.testing.assert_close(stack(x), second((x @ first.weight.T + first.bias).tanh()).tanh())


@pytest.mark.parametrize("batch_shape", [(), (4,), (2, 3), (0,)])
def test_any_batch_applies_the_module_to_each_example(batch_shape: tuple[int, ...]) -> None:
    module = nn.Conv2d(2, 3, kernel_size=2)
    x = torch.randn(*batch_shape, 2, 4, 5)
    y = AnyBatch(module, n_event_dims=3)(x)
    assert y.shape == (*batch_shape, 3, 3, 4)
    for example, output in zip(
        x.reshape(-1, 2, 4, 5) if x.numel() else [], y.reshape(-1, 3, 3, 4) if y.numel() else []
    ):
        torch.testing.assert_close(output, module(example[None])[0])


@pytest.mark.parametrize(("n_event_dims", "error"), [(0, ValueError), ("3", TypeError)])
def test_any_batch_refuses_a_bad_number_of_dimensions(n_event_dims: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"`n_event_dims` must be .*, got {n_event_dims!r}"):
        AnyBatch(nn.Identity(), n_event_dims)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ([], ValueError, "`sizes` must have at least one entry, got none"),
        ([3, 0], ValueError, r"`sizes\[1\]` must be positive, got 0"),
        ([-3, 2], ValueError, r"`sizes\[0\]` must be positive, got -3"),
        ([3, "2"], TypeError, r"`sizes\[1\]` must be an integer, got '2'"),
        ([3, 2.0], TypeError, r"`sizes\[1\]` must be an integer, got 2\.0"),
        ("32", TypeError, "`sizes` must be a sequence of integers, got '32'"),
        (3, TypeError, "`sizes` must be a sequence of integers, got 3"),
    ],
)
def test_stack_of_bad_sizes_is_refused(sizes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_stack(sizes)


@given(batch_shape=SHAPES, event_shape=SHAPES)
def test_flatten_keeps_the_batch_and_the_order_of_the_numbers(
    batch_shape: tuple[int, ...], event_shape: tuple[int, ...]
) -> None:
    x = torch.arange(torch.Size(batch_shape + event_shape).numel()).reshape(batch_shape + event_shape)
    flat = Flatten(event_shape)(x)
    assert flat.shape == (*batch_shape, torch.Size(event_shape).numel())
    assert torch.equal(flat.flatten(), x.flatten())


def test_flatten_keeps_an_empty_batch() -> None:
    assert Flatten((2, 3))(torch.zeros(0, 2, 3)).shape == (0, 6)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 1, 8), (8, 8), (64,)])
def test_flatten_refuses_another_shape_and_names_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"end in the `event_shape` (1, 8, 8), got {shape}.")):
        Flatten((1, 8, 8))(torch.zeros(shape))


@pytest.mark.parametrize(("event_shape", "error"), [((1, 0), ValueError), ("28", TypeError), (28, TypeError)])
def test_flatten_to_a_bad_shape_is_refused(event_shape: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`event_shape"):
        Flatten(event_shape)


def test_rescale_maps_the_unit_interval_to_another() -> None:
    x = torch.rand(5, 3)
    torch.testing.assert_close(Rescale(-1.0, 1.0)(x), 2 * x - 1)
    torch.testing.assert_close(Rescale(-0.5, 3.0)(torch.tensor([0.0, 1.0])), torch.tensor([-0.5, 3.0]))


@pytest.mark.parametrize("high", [-1.0, -2.0, float("nan")])
def test_an_empty_interval_is_refused(high: float) -> None:
    with pytest.raises(ValueError, match="`high` must be greater than `low`"):
        Rescale(-1.0, high)
