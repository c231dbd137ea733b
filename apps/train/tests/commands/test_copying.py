from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from frame_train.commands.copying import copy_experiment
from frame_train.composition.compose import compose_config
from frame_train.composition.settings import config_directory
from frame_train.errors import CompositionError


def compose(*arguments: str) -> Any:
    return OmegaConf.to_container(compose_config(arguments), resolve=False)


@pytest.mark.parametrize("name", ["DIGITS_VAE", "FashionMNIST_VIB", "MNIST_Joint"])
def test_a_copy_has_the_config_of_the_original_and_uses_only_copies(name: str, tmp_path: Path) -> None:
    copy_experiment(name, tmp_path, [config_directory()])
    copied = compose(f"--config-dir={tmp_path}", f"+experiment=my_{name}")
    assert copied == compose(f"+experiment={name}")
    for path in (path for path in tmp_path.rglob("*.yaml") if path.parent.name != "experiment"):
        path.write_text("changed: true")
    assert compose(f"--config-dir={tmp_path}", f"+experiment=my_{name}") != copied


def test_a_copy_keeps_comments_and_names_its_own_command(tmp_path: Path) -> None:
    copy_experiment("DIGITS_VAE", tmp_path, [config_directory()])
    text = (tmp_path / "experiment" / "my_DIGITS_VAE.yaml").read_text()
    assert text.splitlines()[:2] == ["# @package _global_", "# yaml-language-server: $schema=../schema.json"]
    assert f"uv run train +experiment=my_DIGITS_VAE --config-dir={tmp_path}" in text
    assert "# learning rate of Adam" in text


def test_an_existing_file_is_not_overwritten_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "my_VAE.yaml").write_text("mine")
    with pytest.raises(CompositionError, match=r"my_VAE.yaml' exists. Remove it, or name another folder\."):
        copy_experiment("DIGITS_VAE", tmp_path, [config_directory()])
    assert [path.read_text() for path in tmp_path.rglob("*.yaml")] == ["mine"]


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "my_DIGITS_VAE.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CompositionError, match=r"my_DIGITS_VAE.yaml' exists\."):
        copy_experiment("DIGITS_VAE", tmp_path, [config_directory()])
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "entry", ["override /hydra/launcher: basic", "optional /model: nowhere", "optional /model: VAE"]
)
def test_an_option_without_a_file_keeps_its_name(entry: str, tmp_path: Path) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    text = f"# @package _global_\ndefaults:\n  - /data: Digits\n  - {entry}\n  - _self_\n"
    (tmp_path / "own" / "experiment" / "own.yaml").write_text(text)
    copy_experiment("own", tmp_path / "copy", [tmp_path / "own", config_directory()])
    copied = (tmp_path / "copy" / "experiment" / "my_own.yaml").read_text()
    assert copied == text.replace("Digits", "my_Digits").replace(" VAE", " my_VAE")


def test_an_unknown_experiment_and_an_unwritable_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(CompositionError, match=r"no experiment `DIGITS_VE`. Did you mean `DIGITS_VAE`\?"):
        copy_experiment("DIGITS_VE", tmp_path, [config_directory()])
    (tmp_path / "file").touch()
    with pytest.raises(CompositionError, match=r"`--copy`: .* can't be written: "):
        copy_experiment("DIGITS_VAE", tmp_path / "file", [config_directory()])
