from collections.abc import Mapping
from math import log, pi
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from frame_core import SCALAR_ENTRY, ImportanceSamplingModel, get_batch, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import LogLikelihoodEvaluation, batches


class WeightsDouble(ImportanceSamplingModel):
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}


class TabulatedModel(WeightsDouble):
    """Returns the log weights of a table (n_draws, n_examples), row by row. An example is the index of its column."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table
        self.n_returned = torch.zeros(table.shape[1], dtype=torch.long)
        self.most_draws = 0

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        self.most_draws = max(self.most_draws, n_samples * len(data["x"]))
        columns = data["x"].flatten().long()
        rows = self.n_returned[columns] + torch.arange(n_samples).unsqueeze(1)
        self.n_returned[columns] += n_samples
        return self.table[rows, columns]


class PriorGuessModel(WeightsDouble):
    """x ~ N(z, 1) with z ~ N(0, 1), whose posterior is approximated by the prior N(0, 1)."""

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return Normal(torch.randn(n_samples, len(data["x"])), 1.0).log_prob(data["x"].flatten())


def make_normal_data(n_data: int) -> list[dict[str, Tensor]]:
    x = 2**0.5 * torch.randn(n_data, 1, generator=torch.Generator().manual_seed(1))  # the evaluation uses seed 0
    return [{"x": example} for example in x]


@pytest.mark.parametrize("n_draws", [1, 4, 30, 10_000])
@pytest.mark.parametrize("n_latent_samples", [1, 7, 20])
def test_bound_of_a_model_with_an_exact_posterior_is_the_log_evidence_of_the_split(
    n_draws: int, n_latent_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "N_DRAWS", n_draws)
    model = TinyModel()
    optimization = TinyOptimization(model=model)
    entry = run_evaluation(LogLikelihoodEvaluation("train", n_latent_samples=n_latent_samples), optimization)
    x = get_batch(optimization.data["train"], torch.arange(12))["x"]
    assert entry.data_type == SCALAR_ENTRY
    torch.testing.assert_close(torch.tensor(entry.value), model.log_evidence(x).mean().detach())


@pytest.mark.parametrize("n_draws", [1, 3, 20, 50, 10_000])
@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_bound_is_the_log_mean_weight_for_any_batch_size(
    n_draws: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "N_DRAWS", n_draws)
    monkeypatch.setattr(batches, "BATCH_SIZE", batch_size)
    table = 30 * torch.randn(17, 5, generator=torch.Generator().manual_seed(0)) - 2000  # exp of it is 0
    model = TabulatedModel(table)
    data = {"valid": [{"x": torch.tensor([float(index)])} for index in range(5)]}
    entry = run_evaluation(
        LogLikelihoodEvaluation("valid", n_latent_samples=17), TinyOptimization(model=model, data=data)
    )
    expected = ((table.double() + 2000).exp().mean(0).log() - 2000).mean()
    assert entry.value == pytest.approx(expected.item(), rel=1e-6)
    assert model.n_returned.tolist() == [17] * 5
    assert model.most_draws <= n_draws


def test_bound_of_a_subset_is_that_of_as_many_examples() -> None:
    model = TabulatedModel(torch.zeros(3, 9))
    data = {"valid": [{"x": torch.tensor([float(index)])} for index in range(9)]}
    optimization = TinyOptimization(model=model, data=data)
    run_evaluation(LogLikelihoodEvaluation("valid", n_samples=4, n_latent_samples=3), optimization)
    assert sorted(model.n_returned.tolist()) == [0] * 5 + [3] * 4


def test_bound_rises_from_the_evidence_lower_bound_to_the_log_evidence() -> None:
    data_set = make_normal_data(500)
    x = torch.cat([example["x"] for example in data_set])
    optimization = TinyOptimization(model=PriorGuessModel(), data={"valid": data_set})
    lower_bounds = -0.5 * log(2 * pi) - 0.5 * (x.square() + 1)
    variances = x.square() + 0.5  # of log N(x; z, 1) = constant - (x - z)^2 / 2 with z ~ N(0, 1)
    one = run_evaluation(LogLikelihoodEvaluation("valid", n_latent_samples=1), optimization).value
    assert abs(one - lower_bounds.mean()) < 4 * variances.mean().sqrt() / len(x) ** 0.5  # standard errors
    many = run_evaluation(LogLikelihoodEvaluation("valid", n_latent_samples=3000), optimization).value
    evidence = Normal(0.0, 2**0.5).log_prob(x).mean().item()
    assert evidence - lower_bounds.mean() > 0.3
    assert many == pytest.approx(evidence, abs=0.01)  # the error at 3000 samples, far less than that of one


def test_bound_is_read_from_the_device_once(read_counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "N_DRAWS", 2)
    data = {"valid": [{"x": torch.tensor([float(index)])} for index in range(5)]}
    optimization = TinyOptimization(model=TabulatedModel(torch.zeros(6, 5)), data=data)
    with read_counter:
        LogLikelihoodEvaluation("valid", n_latent_samples=6).evaluate(optimization)
    assert read_counter.n_reads == 1


@pytest.mark.gpu
def test_examples_are_moved_to_the_device_of_the_model() -> None:
    evaluation = LogLikelihoodEvaluation("valid", n_latent_samples=8)
    data = {"valid": make_tiny_data(7)}
    expected = run_evaluation(evaluation, TinyOptimization(data=data)).value
    on_gpu = run_evaluation(evaluation, TinyOptimization(model=TinyModel().to("cuda"), data=data)).value
    assert on_gpu == pytest.approx(expected, rel=1e-4)  # the order of summation differs


@pytest.mark.parametrize(
    ("n_samples", "error", "message"),
    [
        (0, ValueError, "`n_samples` must be positive, got 0"),
        ("8", TypeError, "`n_samples` must be an integer, got '8'"),
    ],
)
def test_bad_number_of_examples_or_draws_is_refused(n_samples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LogLikelihoodEvaluation("valid", n_samples=n_samples)
    with pytest.raises(error, match=message.replace("n_samples", "n_latent_samples")):
        LogLikelihoodEvaluation("valid", n_latent_samples=n_samples)
