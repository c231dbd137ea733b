import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from frame_train.composition.objects import Composition, find_target
from frame_train.composition.settings import config_directory, workspace
from runs import compose_train


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))


def iterate_targets(node: Any, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    if isinstance(node, DictConfig | ListConfig):
        if isinstance(node, DictConfig) and "_target_" in node:
            yield key, node
        for name in node if isinstance(node, DictConfig) else range(len(node)):
            if not OmegaConf.is_missing(node, name):
                yield from iterate_targets(node[name], f"{key}.{name}")


def mark(experiment: str, logging: str) -> Any:
    """Mark an experiment without W&B as slow, except the VAE of digits."""
    is_fast = logging == "wandb" or experiment == "DIGITS_VAE"
    return pytest.param(experiment, logging, marks=[] if is_fast else pytest.mark.slow)


@pytest.mark.parametrize(
    ("experiment", "logging"), [mark(*pair) for pair in product(options("experiment"), options("logging"))]
)
def test_every_target_binds_to_its_signature(experiment: str, logging: str) -> None:
    config = compose_train(f"+experiment={experiment}", f"logging={logging}", "run.directory=somewhere")
    targets = list(iterate_targets(config))
    assert {"optimization", "data.train", "trainer"} <= {key.lstrip(".") for key, _ in targets}
    for key, node in targets:
        signature = inspect.signature(find_target(node["_target_"], key))
        bind = signature.bind_partial if node.get("_partial_") else signature.bind
        named = {str(name): value for name, value in node.items() if not str(name).startswith("_")}
        bind(*node.get("_args_", ()), **named)


@pytest.mark.parametrize("device", options("device"))
def test_every_device_sets_the_keys_of_the_default_one(device: str) -> None:
    config = compose_train("+experiment=DIGITS_VAE", f"device={device}", "run.directory=somewhere")
    default = compose_train("+experiment=DIGITS_VAE", "device=default", "run.directory=somewhere")
    assert set(config.device) == set(default.device)
    assert config.device.name == device
    assert {"accelerator", "devices"} <= set(config.trainer)


def test_the_config_is_the_same_from_every_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default device keeps runs/ in the workspace."""
    configs: list[DictConfig] = []
    for folder in (workspace(), workspace() / "apps" / "train"):
        monkeypatch.chdir(folder)
        configs.append(compose_train("+experiment=DIGITS_VAE"))
    assert configs[0] == configs[1]
    assert configs[0].device.experiments_root == f"{workspace()}/runs"


def test_the_variable_device_name_selects_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_NAME", "laptop")
    assert compose_train("+experiment=DIGITS_VAE").device.name == "laptop"
    monkeypatch.delenv("DEVICE_NAME")
    assert compose_train("+experiment=DIGITS_VAE").device.name == "default"


def test_a_user_logging_file_keeps_the_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "logging").mkdir()
    (tmp_path / "logging" / "mine.yaml").write_text("# @package _global_\nlogger: {}\n")
    config = compose_train("logging=mine", f"hydra.searchpath=[{tmp_path}]")
    assert {"last_checkpoint", "best_checkpoint"} <= set(config.callbacks)


def test_mnist_vae_has_the_requested_parameters() -> None:
    assert compose_train("+experiment=MNIST_VAE").params == {
        "z_dim": 64,
        "beta": 0.5,
        "encoder_layers": [1024, 128],
        "decoder_layers": [128, 1024],
        "lr": 1e-3,
        "batch_size": 128,
    }


@pytest.mark.parametrize("option", ["digits_features", "fashion_mnist_features", "mnist_features"])
def test_each_metric_of_features_stands_alone_and_has_the_name_of_the_classifier(option: str) -> None:
    evaluation = compose_train("+experiment=MNIST_VAE", f"+evaluation={option}").evaluation
    classifiers: set[str] = set()
    for key in ("frechet_distance", "kernel_distance", "precision_recall", "class_coverage"):
        alone = OmegaConf.create({"evaluation": {key: evaluation[key]}}).evaluation[key]
        network = alone.evaluator.classifier if key == "class_coverage" else alone.evaluator.features
        assert alone.name.endswith(f"-{network.name}/Validation")
        classifiers.add(network.name)
    assert len(classifiers) == 1


def test_the_joint_loss_counts_the_divergence_of_the_shared_encoder_once() -> None:
    model = Composition().instantiate(compose_train("+experiment=MNIST_Joint").optimization.model)
    x, y = torch.rand(8, 1, 28, 28), torch.arange(8)
    quantities = model.compute_loss({"x": x, "y": y}, 0)
    q_z = model.models["vae"].encode(x)
    divergence = (q_z.variance + q_z.mean**2 - 1 - q_z.variance.log()).sum(-1).mean() / 2
    expected = quantities["vae_reconstruction"] + quantities["vib_prediction"] + divergence
    torch.testing.assert_close(quantities["loss"], expected)


@pytest.mark.parametrize("path", sorted(config_directory().rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_file_begins_with_a_description(path: Path) -> None:
    directives = ("# @package", "# yaml-language-server")
    description = next(line for line in path.read_text().splitlines() if not line.startswith(directives))
    assert description.startswith("# ")
    if path.parent.name == "experiment":
        assert f"uv run train +experiment={path.stem}" in description
