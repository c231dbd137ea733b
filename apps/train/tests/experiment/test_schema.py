import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from frame_train.composition.settings import config_directory
from frame_train.experiment.schema import make_schema

EXPERIMENTS = sorted((config_directory() / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = make_schema([config_directory()])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(json.loads(json.dumps(schema)))


def test_every_shipped_experiment_names_the_schema_behind_its_package() -> None:
    heads = {path.name: path.read_text().splitlines()[:2] for path in EXPERIMENTS}
    expected = ["# @package _global_", "# yaml-language-server: $schema=../schema.json"]
    assert {name: head for name, head in heads.items() if head != expected} == {}


def find_errors(validator: Draft202012Validator, content: Any) -> list[str]:
    return [error.message for error in validator.iter_errors(content)]


def test_every_shipped_experiment_is_valid(validator: Draft202012Validator) -> None:
    found = {path.name: find_errors(validator, yaml.safe_load(path.read_text())) for path in EXPERIMENTS}
    assert len(found) > 10
    assert {name: errors for name, errors in found.items() if errors} == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("trainer: {max_epoch: 3}", "'max_epoch' does not match"),
        ("trainer: {max_epochs: many}", "'many' is not valid"),
        ("run: {nam: x}", "'nam' was unexpected"),
        ("monitor: {metrc: x}", "'metrc' was unexpected"),
        ("model: {_target_: frame_models.VariationalAutoencoder, betta: 1}", "'betta' does not match"),
        ("evaluation: {e: {_target_: frame_train.callbacks.EvaluationCallback, evaluator: "
         "{_target_: frame_eval.ELBOEvaluation, evaluateon: x}}}", "'evaluateon' does not match"),
        ("callbacks: [x, {_target_: frame_architectures.DiagonalNormal, zdim: 1}]", "'zdim' does not match"),
        ("params: [1]", "is not of type 'object'"),
        ("evaluation: {samples: {evaluate_evry: 3}}", "'evaluate_evry' does not match"),
        ("callbacks: {best_checkpoint: {file_name: x}}", "'file_name' does not match"),
        ("optimization: {lrr: 1}", "is not valid under any of the given schemas"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_invalid(validator: Draft202012Validator, text: str, wrong: str) -> None:
    (error,) = find_errors(validator, yaml.safe_load(text))
    assert wrong in error


@pytest.mark.parametrize(
    "text",
    [
        "trainer: {max_epochs: '${params.n}'}",
        "model: {_target_: frame_models.VariationalAutoencoder, beta: {_target_: frame_core.LinearWarmup, start: 1}}",
        "model: {_target_: my_package.Model, anything: 1}",
        "optimization: {lr: 1}",
        "optimization: {scheduler: {warmup_fraction: 0.1}}",
        "evaluation: {samples: null, elbo_train: {evaluator: {n_samples: 3}}, mine: {evaluate_every: 3}}",
        "callbacks: {best_checkpoint: null}",
        "architectures: {encoder: {posterior: Delta}, decoder: null}",
        "defaults: [DIGITS_VAE, my_experiment, {/model: VAE}, {override /evaluation: [loss, mine]}, _self_]",
        "params: {mine: 1}",
        "my_networks: {encoder: {width: 3}}",
    ],
)
def test_references_components_and_own_classes_are_valid(validator: Draft202012Validator, text: str) -> None:
    assert find_errors(validator, yaml.safe_load(text)) == []


def test_a_class_of_the_user_and_its_arguments_are_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "described_module.py").write_text(
        'class Net:\n    """A network.\n\n    Args:\n        width: Units,\n            in each layer.\n    """\n\n'
        "    def __init__(self, width: int = 3) -> None: ...\n"
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: described_module.Net\nwidth: 4\n")
    (tmp_path / "broken.yaml").write_text("a: [")
    monkeypatch.syspath_prepend(str(tmp_path))
    described = make_schema([tmp_path, config_directory()])["$defs"]["described_module.Net"]
    assert described["description"] == "A network."
    assert described["properties"]["width"]["description"] == "Units, in each layer."
    assert {"type": "integer"} in described["properties"]["width"]["anyOf"]


def test_the_keys_of_the_config_have_their_comments(validator: Draft202012Validator) -> None:
    properties = validator.schema["properties"]
    assert properties["seed"]["description"] == "seed of the weights, the order of the data, and the noise"
    assert properties["monitor"]["properties"]["mode"]["description"] == "max or min"


def test_defaults_list_the_options_and_params_have_their_comments(validator: Draft202012Validator) -> None:
    properties = validator.schema["properties"]
    experiments, _, groups = properties["defaults"]["items"]["anyOf"]
    assert {"_self_", "DIGITS_VAE", "MNIST_GAN"} <= set(experiments["enum"])
    assert groups["properties"]["override /logging"]["anyOf"][0] == {"enum": ["none", "tensorboard", "wandb"]}
    assert "in a batch" in properties["params"]["properties"]["batch_size"]["description"]


def test_the_arguments_of_the_trainer_are_described(validator: Draft202012Validator) -> None:
    arguments = validator.schema["$defs"]["pytorch_lightning.Trainer"]["properties"]
    assert arguments["max_epochs"]["description"].startswith("Stop training once this number of epochs is reached.")
