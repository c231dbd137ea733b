from itertools import product

import pytest
import torch

from frame_architectures import PixelCNN


def make_network() -> PixelCNN:
    torch.manual_seed(0)
    network = PixelCNN(grid_shape=(2, 2), n_codes=2, channels=6, n_layers=2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


GRIDS = torch.tensor(list(product(range(2), repeat=4))).view(16, 2, 2)
"""All grids of 2×2 codes of two kinds."""


def test_the_probabilities_of_all_grids_add_up_to_one() -> None:
    probabilities = make_network()().log_prob(GRIDS).exp()
    torch.testing.assert_close(probabilities.sum(), torch.tensor(1.0))
    assert probabilities.max() > 2 * probabilities.min()  # they differ


def test_a_code_depends_on_those_before_it_only() -> None:
    torch.manual_seed(0)
    network = PixelCNN(grid_shape=(4, 5), n_codes=3, channels=6, n_layers=3)
    codes = torch.randint(3, (1, 4, 5))
    logits = network.compute_logits(codes)
    n_dependent = 0
    for row, column in product(range(4), range(5)):
        changed = codes.clone()
        changed[0, row, column] = (codes[0, row, column] + 1) % 3
        differs = (network.compute_logits(changed) != logits).any(-1).flatten()
        position = 5 * row + column
        assert not differs[: position + 1].any()
        n_dependent += int(differs.sum())
    assert n_dependent > 50


def test_samples_have_the_frequencies_of_the_density() -> None:
    p_codes = make_network()()
    torch.manual_seed(0)
    samples = p_codes.sample(torch.Size([100, 200]))
    assert samples.shape == (100, 200, 2, 2)
    for grid, probability in zip(GRIDS, p_codes.log_prob(GRIDS).exp().tolist()):
        frequency = (samples == grid).all(-1).all(-1).float().mean()
        assert abs(frequency - probability) < 4 * (probability * (1 - probability) / 20_000) ** 0.5


def test_a_grid_has_two_dimensions() -> None:
    with pytest.raises(ValueError, match=r"`grid_shape` must have two entries, got \(7,\)"):
        PixelCNN(grid_shape=[7], n_codes=4)
