from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig

from frame_train.composition.compose import compose_config, prepare_config

SHIPPED = {"progress_bar", "training_log", "last_checkpoint", "best_checkpoint"}
MONITOR = "pytorch_lightning.callbacks.LearningRateMonitor"
BAR = "frame_train.callbacks.ProgressBar"


def compose(folder: Path, files: dict[str, str], *arguments: str) -> DictConfig:
    """Return the config of the last of some experiment files."""
    for name, text in files.items():
        path = folder / "experiment" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# @package _global_\n{text}")
    line = [f"--config-dir={folder}", f"experiment={list(files)[-1]}", *arguments]
    config = compose_config(line)
    prepare_config(config, line)
    return config


def test_a_list_adds_callbacks_named_by_their_classes(tmp_path: Path) -> None:
    text = f"defaults: [DIGITS_VAE, _self_]\ncallbacks: [{{_target_: {MONITOR}}}, {{_target_: {MONITOR}}}]"
    config = compose(tmp_path, {"mine": text})
    assert set(config.callbacks) == SHIPPED | {"LearningRateMonitor", "LearningRateMonitor_2"}


def test_a_listed_callback_replaces_the_shipped_one_of_its_class(tmp_path: Path) -> None:
    text = f"defaults: [DIGITS_VAE, _self_]\ncallbacks: [{{_target_: {BAR}, refresh_every: 5}}]"
    config = compose(tmp_path, {"mine": text}, "callbacks.ProgressBar.refresh_every=7")
    assert set(config.callbacks) == SHIPPED - {"progress_bar"} | {"ProgressBar"}
    assert config.callbacks.ProgressBar == {"_target_": BAR, "refresh_every": 7}


def test_a_listed_callback_refers_to_other_keys(tmp_path: Path) -> None:
    text = f"defaults: [DIGITS_VAE, _self_]\ncallbacks: [{{_target_: {BAR}, refresh_every: '${{params.beta}}'}}]"
    assert compose(tmp_path, {"mine": text}).callbacks.ProgressBar.refresh_every == 0.5


def test_lists_and_mappings_of_several_files_add_up(tmp_path: Path) -> None:
    files = {
        "first": f"defaults: [DIGITS_VAE, _self_]\ncallbacks: [{{_target_: {BAR}, refresh_every: 5}}]",
        "second": f"defaults: [first, _self_]\ncallbacks: [{{_target_: {MONITOR}}}]",
        "third": "defaults: [second, _self_]\ncallbacks: {training_log: {log_every: 3 epochs}}",
    }
    callbacks = compose(tmp_path, files).callbacks
    assert set(callbacks) == SHIPPED - {"progress_bar"} | {"ProgressBar", "LearningRateMonitor"}
    assert callbacks.training_log.log_every == "3 epochs"


def test_a_callback_of_a_list_can_be_left_out(tmp_path: Path) -> None:
    text = f"defaults: [DIGITS_VAE, _self_]\ncallbacks: [{{_target_: {MONITOR}}}]"
    assert set(compose(tmp_path, {"mine": text}, "~callbacks.LearningRateMonitor").callbacks) == SHIPPED


def test_the_folder_of_a_list_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "my configs, [new]"
    folder.mkdir()
    text = f"defaults: [DIGITS_VAE, _self_]\ncallbacks: [{{_target_: {MONITOR}}}]"
    assert "LearningRateMonitor" in compose(folder, {"mine": text}).callbacks


def test_other_lists_in_place_of_mappings_are_still_reported(tmp_path: Path) -> None:
    with pytest.raises(HydraException, match="Cannot merge"):
        compose(tmp_path, {"mine": "defaults: [DIGITS_VAE, _self_]\nlogger: [{_target_: builtins.dict}]"})


def test_a_run_without_a_name_has_that_of_its_experiment(tmp_path: Path) -> None:
    config = compose(tmp_path, {"mine": "defaults: [DIGITS_VAE, _self_]"}, "run.name=???")
    assert (config.run.project, config.run.name) == ("DIGITS", "mine")
