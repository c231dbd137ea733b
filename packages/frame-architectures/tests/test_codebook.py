from typing import Any

import pytest
import torch
from torch import Tensor

from frame_architectures import Codebook

VECTORS = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])


def make_codebook(decay: float = 0.0) -> Codebook:
    codebook = Codebook(n_codes=3, code_dim=2, decay=decay)
    codebook.vectors.copy_(VECTORS)
    return codebook


def test_each_vector_is_replaced_by_the_nearest_code() -> None:
    torch.manual_seed(0)
    codebook, z = Codebook(n_codes=11, code_dim=3).eval(), torch.randn(4, 5, 3)
    vectors, codes = codebook(z)
    assert vectors.shape == z.shape
    for row in range(4):
        for column in range(5):
            distances = [float(((z[row, column] - code) ** 2).sum()) for code in codebook.vectors]
            assert codes[row, column] == distances.index(min(distances))
            assert torch.equal(vectors[row, column], codebook.vectors[codes[row, column]])


def test_without_decay_a_training_step_is_a_step_of_k_means() -> None:
    codebook = make_codebook()
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0], [0.0, 6.0], [0.0, 8.0]])
    vectors, codes = codebook(z)
    assert codes.tolist() == [0, 0, 1, 2, 2]
    assert torch.equal(vectors, VECTORS[codes])  # the codes before the step
    torch.testing.assert_close(codebook.vectors, torch.tensor([[0.5, 0.5], [5.0, 0.0], [0.0, 7.0]]))


def test_a_code_is_the_ratio_of_two_moving_averages() -> None:
    codebook = make_codebook(decay=0.9)
    first = torch.tensor([[1.0, 0.0], [5.0, 0.0], [0.0, 6.0], [0.0, 8.0]])
    second = torch.tensor([[2.0, 0.0], [0.0, 0.0], [6.0, 0.0], [0.0, 4.0]])
    codebook(first)
    codebook(second)
    # by hand, of the code 0: counts 0.1 · 1, then 0.9 · 0.1 + 0.1 · 2; sums 0.1 · 1, then 0.9 · 0.1 + 0.1 · 2
    expected = torch.tensor([[0.29 / 0.29, 0.0], [(0.9 * 0.5 + 0.6) / 0.19, 0.0], [0.0, (0.9 * 1.4 + 0.4) / 0.28]])
    torch.testing.assert_close(codebook.counts, torch.tensor([0.29, 0.19, 0.28]))
    torch.testing.assert_close(codebook.vectors, expected)


def test_codes_far_from_the_data_move_to_them_and_cover_all_clusters() -> None:
    torch.manual_seed(0)
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    codebook = Codebook(n_codes=16, code_dim=2, decay=0.5)
    codebook.vectors.add_(100.0)
    for _ in range(50):
        codebook(centers.repeat(100, 1) + 0.1 * torch.randn(400, 2))
    assert torch.cdist(centers, codebook.vectors).min(1).values.max() < 0.2
    assert codebook.counts.min() > 1


def test_an_unused_code_is_restarted_at_a_vector_of_the_batch() -> None:
    torch.manual_seed(0)
    codebook = make_codebook()
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]])  # none is nearest to the code 2
    codebook(z)
    assert any(torch.equal(codebook.vectors[2], vector) for vector in z)
    assert codebook.counts[2] == 1  # the mean, so that it is not restarted at once


@pytest.mark.parametrize("state", ["eval mode", "a state dict"])
def test_the_codes_change_in_train_mode_only_and_are_saved(state: str) -> None:
    codebook, z = Codebook(n_codes=5, code_dim=2), torch.randn(20, 2)
    codebook(z)
    before: dict[str, Tensor] = {name: value.clone() for name, value in codebook.state_dict().items()}
    assert set(before) == {"vectors", "counts", "sums"}
    if state == "eval mode":
        codebook.eval()(z)
        after = codebook.state_dict()
    else:
        other = Codebook(n_codes=5, code_dim=2)
        other.load_state_dict(before)
        after = other.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_no_gradient_reaches_the_vectors_and_there_are_no_parameters() -> None:
    codebook = Codebook(n_codes=5, code_dim=2)
    vectors, _ = codebook(torch.randn(20, 2, requires_grad=True))
    assert not vectors.requires_grad
    assert not list(codebook.parameters())


def test_it_never_waits_for_a_gpu() -> None:
    with torch.device("meta"):  # where reading a value raises
        vectors, codes = Codebook(n_codes=5, code_dim=2)(torch.empty(4, 7, 2))
    assert (vectors.shape, codes.shape) == ((4, 7, 2), (4, 7))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_codes": 0, "code_dim": 2}, ValueError, "`n_codes` must be positive, got 0"),
        ({"n_codes": 5, "code_dim": 2.5}, TypeError, r"`code_dim` must be an integer, got 2\.5"),
        ({"n_codes": 5, "code_dim": 2, "decay": 1.0}, ValueError, "`decay` must be at least 0 and below 1, got 1.0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Codebook(**arguments)
