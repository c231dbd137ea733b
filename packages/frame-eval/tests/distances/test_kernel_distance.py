from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn

from frame_core import run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import KernelDistanceEvaluation
from frame_eval.distances import kernel_distance
from frame_eval.distances.kernel_distance import compute_kernel_distance


def compute_in_loops(first: torch.Tensor, second: torch.Tensor) -> float:
    """Compute the unbiased estimate (Bińkowski et al., 2018, equation 4), one pair at a time."""

    def k(x: torch.Tensor, y: torch.Tensor) -> float:
        return float((x.double() @ y.double() / len(x) + 1) ** 3)

    m, n = len(first), len(second)
    of_first = sum(k(first[i], first[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    of_second = sum(k(second[i], second[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return of_first + of_second - 2 * sum(k(x, y) for x in first for y in second) / (m * n)


@pytest.mark.parametrize("batch_size", [3, 1000])
def test_the_distance_is_the_unbiased_estimate_in_loops(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_distance, "BATCH_SIZE", batch_size)
    torch.manual_seed(0)
    first, second = torch.randn(10, 3), 1 + 2 * torch.randn(7, 3)
    assert compute_kernel_distance(first, second).item() == pytest.approx(compute_in_loops(first, second))


def test_two_samples_of_one_distribution_have_no_distance_on_average() -> None:
    torch.manual_seed(0)
    distances = torch.stack([compute_kernel_distance(*torch.randn(2, 20, 3)) for _ in range(300)])
    assert distances.mean().abs() < 4 * distances.std() / sqrt(300)
    assert distances.min() < 0


def test_the_evaluation_compares_generated_and_real_features() -> None:
    optimization = TinyOptimization()
    distance = run_evaluation(KernelDistanceEvaluation("valid", nn.Flatten(), 50), optimization).value

    class Far(TinyModel):
        def sample(self, *arguments: Any, **options: Any) -> torch.Tensor:
            return super().sample(*arguments, **options) + 10

    far = run_evaluation(KernelDistanceEvaluation("valid", nn.Flatten(), 50), TinyOptimization(Far())).value
    assert far > distance + 1


def test_a_split_of_one_example_is_refused() -> None:
    optimization = TinyOptimization(TinyModel(), {"valid": make_tiny_data(1)})
    with pytest.raises(ValueError, match="needs at least 2 examples, got 1"):
        run_evaluation(KernelDistanceEvaluation("valid", nn.Flatten(), 8), optimization)


@pytest.mark.parametrize(("n_samples", "error"), [(1, ValueError), (2.0, TypeError)])
def test_bad_numbers_of_samples_are_refused(n_samples: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^`n_samples` must be "):
        KernelDistanceEvaluation("valid", nn.Identity(), n_samples)
