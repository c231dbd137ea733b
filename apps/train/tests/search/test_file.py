from pathlib import Path
from typing import Any

import pytest
import yaml

from frame_train.composition.settings import workspace
from frame_train.errors import CompositionError
from frame_train.search.file import read_search

BETA = {"params.beta": {"min": 0.1, "max": 1.0}}


def test_a_sweep_of_wandb_is_the_file_of_a_search() -> None:
    path = workspace() / "apps" / "train" / "sweeps" / "MNIST_VAE.yaml"
    search = read_search(path, ["search.trials=20", "experiment=DIGITS_VAE"])
    assert [parameter.key for parameter in search.parameters] == ["params.beta"]
    assert search.arguments == ["monitor.metric=ELBO/Validation", "monitor.mode=max", "experiment=DIGITS_VAE"]
    assert (search.n_trials, search.study) == (20, "MNIST_VAE")


def test_the_command_line_replaces_keys_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump({"trials": 3, "parameters": BETA, "metric": {"name": "Loss"}}))
    search = read_search(path, ["search.trials=5", "search.study=other", "+monitor.metric=Other", "seed=1"])
    assert (search.n_trials, search.study) == (5, "other")
    assert search.arguments == ["monitor.mode=min", "+monitor.metric=Other", "seed=1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"trials": None}, "`trials` must be a positive integer, it is missing. Add `search.trials=30`."),
        ({"trials": 0}, "`trials` must be a positive integer, got 0."),
        ({"trails": 3}, "`space.yaml` has no key `trails`"),
        ({"early_terminate": {"type": "hyperband"}}, "only W&B reads `early_terminate`. Use `pruner` instead."),
        ({"method": "genetic"}, "`method` must be one of bayes, random, grid, got 'genetic'."),
        ({"metric": {"name": "ELBO/Validation", "goal": "max"}}, "a `goal` that is maximize or minimize"),
        ({"metric": "ELBO/Validation"}, "`metric` must have a `name`"),
        ({"study": "../x"}, "`study` must be the name of a folder, got '../x'."),
        ({"command": "train"}, "`command` must be a list of words, got 'train'."),
        ({"storage": 3}, "`storage` must be a URL such as 'sqlite:///my.db', got 3."),
    ],
)
def test_a_mistake_is_reported_with_its_key(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump({"trials": 1, "parameters": BETA, **content}))
    with pytest.raises(CompositionError) as error:
        read_search(path, ["experiment=DIGITS_VAE"])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.yaml", ": No such file or directory."),
        ("broken.yaml", ": while parsing"),
        ("list.yaml", ": it has no keys."),
        ("cyclic.yaml", ": "),
        ("binary.yaml", ": "),
        ("folder", ": Is a directory."),
    ],
)
def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "broken.yaml").write_text("parameters: {")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "cyclic.yaml").write_text("trials: ${trials}")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\x00")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CompositionError) as error:
        read_search(tmp_path / name, [])
    assert f"{name}' must be a YAML file with `parameters`{reason}" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
