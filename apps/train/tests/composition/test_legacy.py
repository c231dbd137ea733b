from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from frame_train.composition.legacy import MOVED_TARGETS, rename_old_words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"gpus": 2}, {"accelerator": "gpu", "devices": 2}),
        ({"gpus": 0}, {"accelerator": "cpu", "devices": 1}),
        ({"gpus": None, "accelerator": "auto"}, {"accelerator": "cpu", "devices": 1}),
        ({"checkpoint_callback": False}, {"enable_checkpointing": False}),
        ({"max_epochs": 3}, {"max_epochs": 3}),
    ],
)
def test_old_trainer_keys_are_replaced_and_reported(old: dict, new: dict) -> None:
    config = OmegaConf.create({"trainer": old})
    lines = rename_old_words(config)
    assert config.trainer == new
    assert len(lines) == (0 if old == new else 1)
    for line in lines:
        assert all(name in line for name in new)


FORMER_MODULES = {
    "frame_models.vae.VariationalAutoencoder": "frame_models.VariationalAutoencoder",
    "frame_eval.elbo.ELBOEvaluation": "frame_eval.ELBOEvaluation",
}


@pytest.mark.parametrize(("old", "new"), (MOVED_TARGETS | FORMER_MODULES).items())
def test_the_old_path_of_a_moved_class_is_replaced_anywhere_in_a_config(old: str, new: str) -> None:
    config = OmegaConf.create(
        {"a": [{"part": {"_target_": old}}, "${b}"], "b": {"_target_": old}, "missing": "???", "other": "${nowhere}"}
    )
    assert rename_old_words(config) == [f"`{old}` is an old name: it is now `{new}`."]
    assert config.a[0].part["_target_"] == config.b["_target_"] == new
    assert get_class(new)


@pytest.mark.parametrize(
    "target", ["frame_models.solvers.Heun", "frame_models.autoencoders.vae.VariationalAutoencoder"]
)
def test_a_present_path_of_a_class_stays(target: str) -> None:
    assert rename_old_words(OmegaConf.create({"part": {"_target_": target}})) == []
    assert get_class(target)


def test_an_old_key_is_renamed_with_its_value() -> None:
    config = OmegaConf.create({"params": {"k": 5}, "optimization": {"steps_per_trip": "${params.k}"}})
    line = "`optimization.steps_per_trip` is an old name: it is now `optimization.steps_per_execution`."
    assert rename_old_words(config) == [line]
    assert config.optimization == {"steps_per_execution": 5}
    config.params.k = 6
    assert config.optimization.steps_per_execution == 6
    config = OmegaConf.create({"optimization": {"steps_per_trip": 2, "steps_per_execution": None}})
    rename_old_words(config)
    assert config.optimization == {"steps_per_execution": 2}  # a user's config over a shipped one


def test_a_reference_to_an_old_key_leads_to_the_new_one() -> None:
    config = OmegaConf.create(
        {"device": {"experiments_root": "here"}, "path": "${device.runs_root}/x", "own": {"device": {"runs_root": 1}}}
    )
    assert rename_old_words(config) == ["`device.runs_root` is an old name: it is now `device.experiments_root`."]
    assert config.path == "here/x"
    assert config.own.device.runs_root == 1
    assert rename_old_words(config) == []


OLD_EVALUATIONS = """
elbo: {_target_: frame_eval.ELBOEvaluation, evaluate_on: valid, n_samples: 4, n_data: "${n}"}
bound: {_target_: frame_eval.LogLikelihoodEvaluation, evaluate_on: valid}
part: {evaluator: {_target_: frame_eval.AccuracyEvaluation, n_samples: 12}}
plot: {_target_: frame_eval.LatentSpaceEvaluation, n_data: 30}
other: {_target_: my_blocks.Evaluation, n_samples: 5}
n: 7
"""
PRESENT_EVALUATIONS = """
elbo: {_target_: frame_eval.ELBOEvaluation, evaluate_on: valid, n_samples: "${n}", n_latent_samples: 4}
bound: {_target_: frame_eval.LogLikelihoodEvaluation, evaluate_on: valid, n_latent_samples: 100}
part: {evaluator: {_target_: frame_eval.AccuracyEvaluation, n_latent_samples: 12}}
plot: {_target_: frame_eval.LatentSpaceEvaluation, n_samples: 30}
other: {_target_: my_blocks.Evaluation, n_samples: 5}
n: 7
"""


def test_the_numbers_of_samples_of_a_run_of_format_1_are_renamed_once() -> None:
    config = OmegaConf.create(OLD_EVALUATIONS)
    for _ in range(2):  # a resume that was interrupted has written the config, and not the format
        rename_old_words(config, run_format=1)
        assert config == OmegaConf.create(PRESENT_EVALUATIONS)
        assert OmegaConf.to_container(config)["elbo"]["n_samples"] == "${n}"


def test_references_follow_the_renamed_numbers_of_samples() -> None:
    references = {"a": "${evaluation.elbo.n_data}", "b": "x ${evaluation.elbo.n_samples}", "c": "${evaluation.elbo}"}
    elbo = {"_target_": "frame_eval.ELBOEvaluation", "n_samples": 4, "n_data": 7}
    config = OmegaConf.create({"evaluation": {"elbo": elbo, **references}})
    rename_old_words(config, run_format=1)
    assert (config.evaluation.a, config.evaluation.b) == (7, "x 4")
    assert config.evaluation.c is config.evaluation.elbo


@pytest.mark.parametrize("run_format", [1, 2, None])
def test_distributions_of_a_run_of_format_1_keep_their_smallest_scale(run_format: int | None) -> None:
    encoder = {"_target_": "frame_architectures.mnist.Encoder"}
    layer = {"_target_": "frame_architectures.StochasticLinear"}
    nodes = {
        "default": encoder,
        "named": {**encoder, "posterior": "${kind}"},
        "layer": {**layer, "distribution": "Laplace"},
        "without": {**encoder, "posterior": "Delta"},
        "layer_without": {**layer, "distribution": "Bernoulli"},
        "other": {"_target_": "frame_architectures.mnist.Decoder"},
    }
    config = OmegaConf.create({**nodes, "kind": "Normal"})
    assert rename_old_words(config, run_format) == []
    with_scale = [name for name in nodes if "min_scale" in config[name]]
    assert with_scale == (["default", "named", "layer"] if run_format == 1 else [])
    assert {config[name].min_scale for name in with_scale} <= {1e-6}


def test_the_numbers_of_samples_of_a_present_run_keep_their_meaning() -> None:
    config = OmegaConf.create(PRESENT_EVALUATIONS)
    assert rename_old_words(config, run_format=2) == rename_old_words(config) == []
    assert config == OmegaConf.create(PRESENT_EVALUATIONS)


def test_an_old_number_of_examples_in_a_config_is_renamed_and_reported() -> None:
    shipped = {"_target_": "frame_eval.ELBOEvaluation", "n_samples": 10_000, "n_latent_samples": 1}
    config = OmegaConf.create({"elbo": {**shipped, "n_data": 500}, "plot": {"_target_": "frame_eval.LossEvaluation"}})
    (line,) = rename_old_words(config)
    assert "`n_data` of `frame_eval.ELBOEvaluation` is an old name: it is now `n_samples`" in line
    assert config.elbo == {**shipped, "n_samples": 500}


@pytest.mark.parametrize("params", [{"sample_output": True, "temperature": "${t}"}, "${s}", None])
def test_sampling_params_become_arguments(params: Any) -> None:
    node = {"_target_": "frame_eval.ImageSampleEvaluation", "n_pictures": 9, "sample_output": False}
    config = OmegaConf.create({"a": {**node, "sampling_params": params}, "s": {"sample_output": True}, "t": 2})
    (line,) = rename_old_words(config)
    assert "`sampling_params` of `frame_eval.ImageSampleEvaluation` is an old name" in line
    expected = {"temperature": 2} if isinstance(params, dict) else {}
    assert config.a == {**node, "sample_output": params is not None, **expected}
    assert rename_old_words(config) == []


JOINT = """
models: {vae: {beta: 1}, vib: {beta: 2}}
optimization:
  _target_: frame_train.optimization.JointOptimization
  models: ${models}
  data: ???
evaluation:
  one: ${optimization.models.vae}
  two: ["${ optimization.models.vib.beta}"]
  other: ${no.optimization.models}
"""


@pytest.mark.parametrize("is_inline", [False, True])
def test_joint_optimization_becomes_batch_optimization_of_a_joint_model(is_inline: bool) -> None:
    config = OmegaConf.create(JOINT)
    if is_inline:
        config.optimization.models = OmegaConf.to_container(config.pop("models"))
    (line,) = rename_old_words(config)
    assert "`frame_train.optimization.BatchOptimization` with `model: {_target_: frame_core.JointModel" in line
    assert config.optimization["_target_"] == "frame_train.optimization.BatchOptimization"
    assert config.optimization.model == {
        "_target_": "frame_core.JointModel",
        "models": {"vae": {"beta": 1}, "vib": {"beta": 2}},
    }
    assert OmegaConf.is_missing(config.optimization, "data")
    assert "models" not in config.optimization
    assert config.evaluation.one is config.optimization.model.models.vae  # one node, built once
    assert config.evaluation.two == [2]
    assert OmegaConf.to_container(config.evaluation)["other"] == "${no.optimization.models}"
    assert rename_old_words(config) == []
