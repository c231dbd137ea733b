import pytest
import torch
from torch.distributions import Categorical as TorchCategorical
from torch.nn.functional import cross_entropy

from frame_architectures.categorical import Categorical


def test_log_probability_and_its_gradient_are_those_of_the_cross_entropy() -> None:
    logits, labels = torch.randn(6, 5, requires_grad=True), torch.randint(5, (6,))
    ours, theirs = -Categorical(logits=logits).log_prob(labels), cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), logits), torch.autograd.grad(theirs.sum(), logits))


@pytest.mark.parametrize("shape", [(), (6,), (2, 6), (3, 1)])
def test_log_probability_broadcasts_like_that_of_torch(shape: tuple[int, ...]) -> None:
    logits, labels = torch.randn(6, 5), torch.randint(5, shape)
    theirs = TorchCategorical(logits=logits).log_prob(labels)
    torch.testing.assert_close(Categorical(logits=logits).log_prob(labels), theirs)
