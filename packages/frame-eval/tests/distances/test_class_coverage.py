from math import inf, log

import pytest
import torch
from torch import Tensor, nn

from frame_core import SCALARS_ENTRY, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import ClassCoverageEvaluation


class Cycle(TinyModel):
    """Generates given examples in turn."""

    def __init__(self, examples: Tensor) -> None:
        super().__init__()
        self.examples = examples

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return self.examples[torch.arange(sample_shape.numel()) % len(self.examples)]


def evaluate(real: list[int], fake: list[int]) -> dict[str, float]:
    """Evaluate examples that are their own logits, given their labels."""
    code = torch.eye(4)
    optimization = TinyOptimization(Cycle(code[fake]), {"valid": [{"x": code[label]} for label in real]})
    entry = run_evaluation(ClassCoverageEvaluation("valid", nn.Identity(), n_samples=len(fake)), optimization)
    assert entry.data_type == SCALARS_ENTRY
    return entry.value


def test_the_frequencies_of_labels_are_compared() -> None:
    # p = (3/4, 1/4, 0), q = (1/4, 1/2, 1/4)
    expected = 3 / 4 * log(3) + 1 / 4 * log(1 / 2)
    assert evaluate([0, 1, 1, 2], [0, 0, 0, 1]) == {
        "covered": pytest.approx(2 / 3),
        "divergence": pytest.approx(expected),
    }


def test_equal_frequencies_have_no_divergence() -> None:
    assert evaluate([0, 1, 2, 3], [3, 2, 1, 0, 0, 1, 2, 3]) == {"covered": 1.0, "divergence": pytest.approx(0.0)}


def test_a_label_without_a_real_example_has_an_infinite_divergence() -> None:
    assert evaluate([0, 1], [0, 3]) == {"covered": 0.5, "divergence": inf}


def test_a_number_of_samples_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="`n_samples` must be positive, got 0"):
        ClassCoverageEvaluation("valid", nn.Identity(), 0)
