import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from frame_train.composition.settings import workspace
from pages import DOCS, read_blocks, write_files

GUIDE = DOCS / "extending.md"

UNWRAPPED = """# @package _global_
# The VAE on a data set of torchvision.
defaults:
  - MNIST_VAE
  - override /data: null
  - _self_

data:
  train:
    _target_: torchvision.datasets.{name}
    root: {root}
    train: false
    transform:
      _target_: torchvision.transforms.ToTensor
  valid: ${{data.train}}

evaluation:
  elbo_train: null

trainer:
  max_epochs: 1
  limit_train_batches: 2
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """Write the project of the guide to a folder outside the workspace."""
    write_files(GUIDE, tmp_path)
    yield tmp_path
    sys.modules.pop("my_blocks", None)


def test_the_project_of_the_guide_runs(train: Callable[..., Any], project: Path) -> None:
    check, run = re.findall(r"^uv run --project \S+ train (.*)$", GUIDE.read_text(), re.MULTILINE)
    result = train(*check.split())
    assert "no mistakes" in result.output, result
    result = train(*run.split())
    assert result.code == 0, result
    values = [float(value) for value in re.findall(r"MeanError/Validation is (.*)", result.output)]
    assert len(values) == 2
    assert values[1] < values[0]
    assert (project / "runs" / "my_project" / "mine").is_dir()


def test_mistakes_in_a_user_experiment_are_reported_with_the_options_of_the_user(
    train: Callable[..., Any], project: Path
) -> None:
    result = train("--config-dir", "my_config", "+experiment=mein")
    assert result.code == 2
    assert "DIGITS_VAE" in result.errors
    assert "Did you mean `mine`?" in result.errors
    result = train("--config-dir", "my_config", "+experiment=mine", "params.lrr=1")
    assert "Did you mean `params.lr`?" in result.errors


@pytest.mark.parametrize("name", ["MNIST", pytest.param("FashionMNIST", marks=pytest.mark.slow)])
def test_a_data_set_of_torchvision_works_without_a_wrapper(
    name: str, train: Callable[..., Any], tmp_path: Path, data_root: Path
) -> None:
    experiment = tmp_path / "my_config" / "experiment" / "unwrapped.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text(UNWRAPPED.format(name=name, root=data_root))
    result = train("--config-dir=my_config", "+experiment=unwrapped", "logging=none")
    assert result.code == 0, result
    assert "ELBO/Validation" in result.output


@pytest.mark.network
@pytest.mark.slow
def test_the_framework_is_installed_in_an_environment_of_the_user(project: Path) -> None:
    commands = [block.text for block in read_blocks(GUIDE) if "uv init" in block.text]
    (project / "test_mine.py").write_text("def test_blocks():\n    import my_blocks\n")
    lines = [*commands[0].splitlines(), "uv run python -m pytest"]
    for line in lines:
        arguments = shlex.split(line.replace("../frame", str(workspace())))
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        subprocess.run(arguments, cwd=project, env=environment, check=True, timeout=600)
    assert list(project.glob("runs/my_project/mine/*/run.json"))
