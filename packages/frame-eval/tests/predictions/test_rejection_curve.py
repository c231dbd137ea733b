import pytest
import torch

from frame_core import PLOT_ENTRY, run_evaluation
from frame_core.testing import TinyOptimization
from frame_eval import RejectionCurveEvaluation
from frame_eval.predictions.rejection_curve import compute_rejection_curve


def test_the_curve_is_the_accuracy_above_each_threshold() -> None:
    torch.manual_seed(0)
    confidence, correct = torch.rand(30), torch.rand(30) < 0.7
    curve = compute_rejection_curve(correct, confidence)
    for k, threshold in enumerate(confidence.sort(descending=True).values.tolist(), start=1):
        kept = [bool(hit) for hit, value in zip(correct, confidence.tolist()) if value >= threshold]
        assert len(kept) == k
        assert curve[k - 1].item() == pytest.approx(sum(kept) / k)


def test_errors_of_the_least_confidence_are_rejected_first() -> None:
    correct = torch.tensor([True, False, True, True])
    curve = compute_rejection_curve(correct, torch.tensor([0.9, 0.1, 0.8, 0.7]))
    assert curve.tolist() == [1.0, 1.0, 1.0, 0.75]


def test_equal_confidence_keeps_the_order_of_the_examples() -> None:
    correct = torch.tensor([False, True])
    assert compute_rejection_curve(correct, torch.ones(2)).tolist() == [0.0, 0.5]


def test_the_plot_ends_at_the_accuracy_and_the_best_order_is_never_below() -> None:
    optimization = TinyOptimization()
    entry = run_evaluation(RejectionCurveEvaluation("valid"), optimization)
    assert entry.data_type == PLOT_ENTRY
    (axes,) = entry.value.axes
    by_confidence, best, at_random = (line.get_ydata() for line in axes.lines)
    assert by_confidence[-1] == pytest.approx(best[-1]) == pytest.approx(at_random[0])
    assert all(first >= second for first, second in zip(best, by_confidence))
