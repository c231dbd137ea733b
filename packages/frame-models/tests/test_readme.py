import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

PACKAGE = Path(__file__).parents[1]
NETWORKS, TRAINING, USE = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)

CIRCLE_ENTROPY = 0.96  # nats: log 2 pi for the angle, and (1 + log 2 pi 0.1^2) / 2 for the noise across the circle
GAUSSIAN_ENTROPY = 2.16  # nats: log(2 pi e) + log(0.51), of the normal distribution with the circle's covariance


def test_ten_lines_train_user_defined_networks() -> None:
    assert len([line for line in TRAINING.splitlines() if line]) == 10
    torch.manual_seed(0)
    namespace: dict[str, Any] = {}
    for block in (NETWORKS, TRAINING, USE):
        exec(block, namespace)
    with torch.no_grad():
        bound = -namespace["model"].compute_loss({"x": namespace["x"]}, 0)["loss"].item()
    # Better than the best model without latents, and no better than the entropy of the circle.
    assert -GAUSSIAN_ENTROPY + 0.2 < bound < -CIRCLE_ENTROPY


@pytest.mark.slow
@pytest.mark.network
def test_wheel_in_an_empty_environment_trains_without_lightning_and_hydra(tmp_path: Path) -> None:
    repository = PACKAGE.parents[1]
    for package in ("frame-core", "frame-models"):
        _run("uv", "build", "--wheel", "--package", package, "-o", str(tmp_path / "wheels"), cwd=repository)
    python = str(tmp_path / "environment" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    _run("uv", "venv", "--python", "3.11", str(tmp_path / "environment"), cwd=tmp_path)
    wheels = sorted(map(str, (tmp_path / "wheels").glob("*.whl")))
    assert len(wheels) == 2
    _run("uv", "pip", "install", "--python", python, *wheels, cwd=tmp_path)
    modules = ("pytorch_lightning", "lightning", "hydra", "omegaconf", "wandb")
    absent = f"from importlib.util import find_spec\nassert not any(map(find_spec, {modules}))\n"
    script = tmp_path / "train.py"
    script.write_text(absent + NETWORKS + TRAINING + USE + "print(f'loss {quantities[\"loss\"]:.2f} nats')\n")
    assert re.search(r"loss -?\d+\.\d\d nats", _run(python, str(script), cwd=tmp_path))


def _run(*command: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout
