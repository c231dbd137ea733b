import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from frame_eval.representations.logistic_regression import fit_logistic_regression


def make_clusters(n_data: int, dim: int, n_labels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Make overlapping clusters whose coordinates have very different scales."""
    centers = torch.randn(n_labels, dim, generator=torch.Generator().manual_seed(123))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(n_labels, (n_data,), generator=generator)
    vectors = centers[labels] + torch.randn(n_data, dim, generator=generator)
    return vectors * torch.logspace(-2, 2, dim) + 5, labels


@pytest.mark.parametrize("regularization", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("n_data", "dim", "n_labels"), [(300, 4, 3), (500, 10, 6), (20, 30, 3)])
def test_probabilities_are_those_of_scikit_learn(n_data: int, dim: int, n_labels: int, regularization: float) -> None:
    vectors, labels = make_clusters(n_data, dim, n_labels)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=1 / regularization, tol=1e-8, max_iter=10_000))
    oracle.fit(vectors.double().numpy(), labels.numpy())
    others, _ = make_clusters(100, dim, n_labels, seed=1)
    expected = torch.from_numpy(oracle.predict_proba(others.double().numpy())).float()
    probabilities = fit_logistic_regression(vectors, labels, regularization).compute_logits(others).softmax(-1)
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=2e-3)  # both stop near the minimum, in float32


def test_the_result_is_deterministic() -> None:
    vectors, labels = make_clusters(100, 4, 3)
    first, second = (fit_logistic_regression(vectors, labels, 1.0) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_labels_need_not_be_consecutive() -> None:
    vectors = torch.tensor([[-1.0], [-2.0], [1.0], [2.0]])
    classifier = fit_logistic_regression(vectors, torch.tensor([40, 40, -3, -3]), 1.0)
    assert classifier.classes.tolist() == [-3, 40]
    assert classifier.predict(vectors).tolist() == [40, 40, -3, -3]


def test_constant_coordinate_changes_nothing() -> None:
    vectors, labels = make_clusters(100, 4, 3)
    with_constant = torch.cat([vectors, torch.full((100, 1), 0.1)], dim=1)  # its mean is not exactly 0.1
    expected = fit_logistic_regression(vectors, labels, 1.0).compute_logits(vectors)
    logits = fit_logistic_regression(with_constant, labels, 1.0).compute_logits(with_constant)
    torch.testing.assert_close(logits, expected, rtol=0, atol=5e-3)  # both stop near the minimum


def test_one_label_is_predicted_for_all() -> None:
    vectors = torch.randn(5, 2)
    classifier = fit_logistic_regression(vectors, torch.full((5,), 3), 1.0)
    assert classifier.predict(vectors).tolist() == [3] * 5


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_can_be_fitted_while_gradients_are_disabled(mode: type[torch.no_grad]) -> None:
    vectors, labels = make_clusters(200, 4, 3)
    expected = fit_logistic_regression(vectors, labels, 1.0)
    with mode():
        classifier = fit_logistic_regression(vectors * 1, labels * 1, 1.0)  # made in that mode
    assert torch.equal(classifier.weight, expected.weight)
    assert not classifier.weight.requires_grad
