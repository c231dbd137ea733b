import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.distributions import Distribution

import frame_architectures
from frame_architectures import Flow

SCRIPT = """
import os, sys
from torch.distributions import Distribution
import frame_architectures
assert "zuko" not in sys.modules
validates = (pid := os.fork()) == 0
Distribution.set_default_validate_args(validates)
frame_architectures.Flow(z_dim=2)
assert "zuko" in sys.modules
assert Distribution._validate_args is validates
assert pid == 0 or os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.parametrize("kind", ["NSF", "MAF"])
def test_density_integrates_to_one(kind: str) -> None:
    torch.manual_seed(0)
    flow = Flow(2, n_transforms=2, layers=[16], kind=kind)
    z = torch.linspace(-8, 8, 401)
    grid = torch.stack(torch.meshgrid(z, z, indexing="ij"), -1)
    with torch.no_grad():
        density = flow().log_prob(grid).exp()
    integral = torch.trapezoid(torch.trapezoid(density, z), z)
    torch.testing.assert_close(integral, torch.tensor(1.0), rtol=1e-3, atol=1e-3)  # a grid of 0.04 under a spline


@pytest.mark.parametrize("kind", ["NSF", "MAF"])
def test_log_density_follows_the_change_of_variables(kind: str) -> None:
    flow = Flow(3, n_transforms=2, layers=[16], kind=kind).double()
    z = torch.randn(4, 3, dtype=torch.double)
    transform = flow().transform  # pyright: ignore[reportAttributeAccessIssue]
    for point, log_prob in zip(z, flow().log_prob(z)):
        jacobian: Any = torch.autograd.functional.jacobian(transform, point)
        expected = flow.base().log_prob(transform(point)) + torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(log_prob, expected)


def test_a_scale_enlarges_the_events() -> None:
    flow, large = Flow(2, n_transforms=1, layers=[8]), Flow(2, n_transforms=1, layers=[8], scale=3.0)
    large.load_state_dict(flow.state_dict())
    z = torch.randn(5, 2)
    torch.testing.assert_close(large().log_prob(3 * z), flow().log_prob(z) - 2 * math.log(3))
    torch.manual_seed(0)
    expected = 3 * flow().sample(torch.Size([4]))
    torch.manual_seed(0)
    torch.testing.assert_close(large().sample(torch.Size([4])), expected)


def test_a_flow_learns_a_distribution() -> None:
    torch.manual_seed(0)
    flow = Flow(1, n_transforms=1, layers=[16])
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        z = torch.randn(256, 1).sign() * 1.5 + 0.3 * torch.randn(256, 1)
        (-flow().log_prob(z).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        samples = flow().sample(torch.Size([2000]))
    assert (samples.abs() - 1.5).abs().mean() < 0.4  # 0.24 for the data, 0.85 for a standard normal variable


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"z_dim": 0}, ValueError, "z_dim"),
        ({"z_dim": "3"}, TypeError, "z_dim"),
        ({"z_dim": 3, "n_transforms": 0}, ValueError, "n_transforms"),
        ({"z_dim": 3, "kind": "maf"}, ValueError, "kind` must be one of 'NSF', 'MAF', got 'maf'. Did you mean `MAF"),
        ({"z_dim": 3, "scale": 0.0}, ValueError, "scale"),
        ({"z_dim": 3, "layers": 5}, TypeError, "layers"),
        ({"z_dim": 3, "layers": [5, 0]}, ValueError, "layers"),
    ],
)
def test_bad_sizes_are_refused(arguments: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}"):
        Flow(**arguments)


@pytest.mark.slow
def test_zuko_is_imported_with_the_flow_only_and_does_not_change_validation() -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore:Failed to initialize NumPy"]
    result = subprocess.run([*command, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_without_zuko_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "frame_architectures.flow", raising=False)
    monkeypatch.setitem(sys.modules, "zuko", None)
    before = Distribution._validate_args
    with pytest.raises(ModuleNotFoundError) as error:
        _ = frame_architectures.Flow
    assert str(error.value) == "`Flow` needs zuko: `pip install frame-architectures[zuko]`."
    assert Distribution._validate_args is before


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoPrior"):
        _ = frame_architectures.NoPrior
