from math import pi
from typing import Any

import pytest
import torch

from frame_architectures import DiagonalNormal


def test_log_density_is_that_of_the_standard_normal() -> None:
    z = torch.randn(6, 3)
    torch.testing.assert_close(DiagonalNormal(3)().log_prob(z), -(z**2 + torch.tensor(2 * pi).log()).sum(-1) / 2)


def test_there_is_nothing_to_train() -> None:
    assert list(DiagonalNormal(3).parameters()) == []


def test_prior_follows_its_module_to_another_device_and_type() -> None:
    assert DiagonalNormal(3).to("meta")().sample().device.type == "meta"
    assert DiagonalNormal(3).double()().sample().dtype == torch.double


@pytest.mark.parametrize(("z_dim", "error"), [(0, ValueError), (-2, ValueError), ("3", TypeError), (3.0, TypeError)])
def test_bad_sizes_are_refused(z_dim: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"`z_dim` must be .*, got {z_dim!r}"):
        DiagonalNormal(z_dim)
