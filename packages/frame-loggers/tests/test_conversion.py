import numpy as np
import pytest
import torch

from frame_loggers.conversion import make_bins, make_plain


def test_bins_are_those_of_numpy() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    bins = make_bins(values)
    counts, edges = np.histogram(values.double().numpy(), bins=64)
    assert bins.counts.tolist() == counts.tolist()
    torch.testing.assert_close(bins.edges, torch.from_numpy(edges))


@pytest.mark.parametrize("value", [0.0, 5.0, -3e38, 1e-40])
def test_equal_values_are_in_one_bin_and_edges_increase(value: float) -> None:
    bins = make_bins(torch.full((3,), value))
    assert bins.counts.max() == bins.counts.sum() == 3
    assert (bins.edges.diff() > 0).all()


def test_bins_of_non_finite_values_are_empty() -> None:
    bins = make_bins(torch.tensor([float("nan"), float("inf")]))
    assert (bins.counts.sum(), bins.n_non_finite) == (0, 2)


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        (True, True),
        (None, None),
        ("a", "a"),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (torch.tensor(2), 2),
        (torch.tensor([1, 2]), "[1, 2]"),
        (1j, "1j"),
    ],
)
def test_a_cell_becomes_a_plain_value(cell: object, plain: object) -> None:
    assert make_plain(cell) == plain
    assert type(make_plain(cell)) is type(plain)
