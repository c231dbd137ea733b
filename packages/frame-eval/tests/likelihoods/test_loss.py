from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frame_core import SCALARS_ENTRY, Model, get_batch, run_evaluation
from frame_core.testing import TinyOptimization, make_tiny_data
from frame_eval import LossEvaluation
from frame_eval.likelihoods import loss


class MeanModel(Model):
    """Its quantities are means of x over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.batch_sizes: list[int] = []

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        self.batch_sizes.append(len(data["x"]))
        return {"loss": self.weight * data["x"].mean(), "twice": 2 * data["x"].mean()}


@pytest.mark.parametrize("batch_size", [1, 5, 1000])
def test_each_quantity_is_the_mean_over_all_examples(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "BATCH_SIZE", batch_size)
    optimization = TinyOptimization(MeanModel(), {"valid": make_tiny_data(7)})
    entry = run_evaluation(LossEvaluation("valid"), optimization)
    mean = get_batch(optimization.data["valid"], torch.arange(7))["x"].mean().item()
    assert entry.data_type == SCALARS_ENTRY
    assert entry.value == {"loss": pytest.approx(mean), "twice": pytest.approx(2 * mean)}


def test_a_subset_has_the_given_number_of_examples() -> None:
    model = MeanModel()
    run_evaluation(LossEvaluation("valid", n_samples=3), TinyOptimization(model, {"valid": make_tiny_data(7)}))
    assert model.batch_sizes == [3]


def test_batches_have_the_given_size() -> None:
    model = MeanModel()
    run_evaluation(LossEvaluation("valid", batch_size=3), TinyOptimization(model, {"valid": make_tiny_data(7)}))
    assert model.batch_sizes == [3, 3, 1]


def test_no_batch_is_read_from_the_device_on_its_own(read_counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "BATCH_SIZE", 1)
    with read_counter:
        LossEvaluation("train").evaluate(TinyOptimization(MeanModel()))
    assert read_counter.n_reads <= 1


@pytest.mark.parametrize("name", ["n_samples", "batch_size"])
@pytest.mark.parametrize("number", [0, "many"])
def test_a_number_of_examples_that_is_not_positive_is_refused(name: str, number: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"`{name}` must be"):
        LossEvaluation("valid", **{name: number})
