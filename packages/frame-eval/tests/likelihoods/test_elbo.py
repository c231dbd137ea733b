from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frame_core import SCALAR_ENTRY, VariationalModel, get_batch, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data
from frame_eval import ELBOEvaluation
from frame_eval.likelihoods import elbo


class CountingModel(VariationalModel):
    """Its reconstruction term is 1, 2, 3, ..., its regularization term 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = nn.Buffer(torch.zeros(()))
        self.batch_sizes: list[int] = []

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": self.n_calls}

    def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.n_calls += 1
        self.batch_sizes.append(len(data["x"]))
        return {"reconstruction": self.n_calls.clone(), "regularization": torch.tensor(0.5)}


@pytest.mark.parametrize("batch_size", [1, 5, 12, 1000])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_bound_of_a_model_with_an_exact_posterior_is_the_log_evidence_of_the_split(
    batch_size: int, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elbo, "BATCH_SIZE", batch_size)
    model = TinyModel()
    optimization = TinyOptimization(model=model)
    entry = run_evaluation(ELBOEvaluation(split), optimization)
    x = get_batch(optimization.data[split], torch.arange(len(optimization.data[split])))["x"]
    assert entry.data_type == SCALAR_ENTRY
    torch.testing.assert_close(torch.tensor(entry.value), model.log_evidence(x).mean().detach())


def test_bound_is_the_mean_over_examples_for_any_size_of_the_last_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elbo, "BATCH_SIZE", 5)
    model = CountingModel()
    optimization = TinyOptimization(model=model, data={"valid": make_tiny_data(7)})
    entry = run_evaluation(ELBOEvaluation("valid"), optimization)
    assert model.batch_sizes == [5, 2]
    assert entry.value == pytest.approx(-(5 * (1 + 0.5) + 2 * (2 + 0.5)) / 7)


def test_bound_is_the_mean_over_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elbo, "BATCH_SIZE", 5)
    optimization = TinyOptimization(model=CountingModel(), data={"valid": make_tiny_data(7)})
    entry = run_evaluation(ELBOEvaluation("valid", n_latent_samples=3), optimization)
    assert entry.value == pytest.approx(-(5 * (1 + 2 + 3) / 3 + 2 * (4 + 5 + 6) / 3) / 7 - 0.5)


def test_bound_of_a_subset_reads_as_many_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elbo, "BATCH_SIZE", 5)
    model = CountingModel()
    optimization = TinyOptimization(model=model, data={"valid": make_tiny_data(20)})
    run_evaluation(ELBOEvaluation("valid", n_samples=7), optimization)
    assert model.batch_sizes == [5, 2]


def test_bound_is_read_from_the_device_once(read_counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elbo, "BATCH_SIZE", 1)
    optimization = TinyOptimization(model=CountingModel())
    with read_counter:
        ELBOEvaluation("train", n_latent_samples=2).evaluate(optimization)
    assert read_counter.n_reads == 1


@pytest.mark.gpu
def test_examples_are_moved_to_the_device_of_the_model() -> None:
    expected = run_evaluation(ELBOEvaluation("valid"), TinyOptimization()).value
    on_gpu = run_evaluation(ELBOEvaluation("valid"), TinyOptimization(model=TinyModel().to("cuda"))).value
    assert on_gpu == pytest.approx(expected, rel=1e-4)  # the order of summation differs


@pytest.mark.parametrize(
    ("n_samples", "error", "message"),
    [
        (0, ValueError, "`n_samples` must be positive, got 0"),
        (-1, ValueError, "`n_samples` must be positive, got -1"),
        ("8", TypeError, "`n_samples` must be an integer, got '8'"),
    ],
)
def test_bad_number_of_examples_or_draws_is_refused(n_samples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ELBOEvaluation("valid", n_samples=n_samples)
    with pytest.raises(error, match=message.replace("n_samples", "n_latent_samples")):
        ELBOEvaluation("valid", n_latent_samples=n_samples)


def test_unknown_split_is_refused_and_the_splits_are_listed() -> None:
    with pytest.raises(ValueError, match="no split 'validation'; it has 'train', 'valid'"):
        run_evaluation(ELBOEvaluation("validation"), TinyOptimization())


def test_a_model_without_the_two_terms_has_no_bound() -> None:
    class Bottleneck(CountingModel):
        def compute_loss_components(self, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {"prediction": self.n_calls, "regularization": self.n_calls}

    message = (
        "`Bottleneck.compute_loss_components` must return `reconstruction` and `regularization`, "
        "got `prediction`, `regularization`"
    )
    with pytest.raises(ValueError, match=message):
        run_evaluation(ELBOEvaluation("valid"), TinyOptimization(model=Bottleneck()))


def test_empty_split_is_refused() -> None:
    with pytest.raises(ValueError, match="Split 'valid' of `data` is empty"):
        run_evaluation(ELBOEvaluation("valid"), TinyOptimization(data={"valid": []}))
