import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

import frame_train
from frame_train import CompositionError, Pretrained, load_run
from frame_train.runs.transfer.pretrained import inline_pretrained
from runs import read_description

EXPERIMENT = """\
# @package _global_
defaults:
  - /data: Digits
  - /model: VIB
  - /optimization: batch_ADAM
  - /evaluation: [accuracy]
  - _self_

params:
  z_dim: 16
  beta: 0.0
  n_samples: 1
  lr: 0.01
  batch_size: 64

architectures:
  encoder:
    _target_: frame_train.Pretrained
    run: ???
    part: model.encoder
    frozen: true
    weights: best
  label_predictor:
    _target_: frame_architectures.digits.LabelPredictor
    z_dim: ${params.z_dim}
    layers: []
  prior:
    _target_: frame_architectures.DiagonalNormal
    z_dim: ${params.z_dim}

evaluation:
  accuracy_validation:
    evaluate_every: 1 epoch
"""


@pytest.fixture
def arguments(trained: Path, tmp_path: Path) -> list[str]:
    """Arguments of a small training whose encoder is that of a copy of the trained run."""
    (tmp_path / "config" / "experiment").mkdir(parents=True)
    (tmp_path / "config" / "experiment" / "probe.yaml").write_text(EXPERIMENT)
    shutil.copytree(trained, tmp_path / "source")
    return [
        f"--config-dir={tmp_path / 'config'}",
        "+experiment=probe",
        f"architectures.encoder.run={tmp_path / 'source'}",
        "logging=none",
        "~callbacks.progress_bar",
        "trainer.limit_train_batches=2",
        "trainer.max_epochs=1",
        f"device.experiments_root={tmp_path / 'runs'}",
    ]


def change_config(run: Path, key: str, value: Any) -> None:
    config = OmegaConf.load(run / "config.yaml")
    OmegaConf.update(config, key, value)
    OmegaConf.save(config, run / "config.yaml")


def assert_equal(first: torch.nn.Module, second: torch.nn.Module) -> None:
    assert first.state_dict().keys() == second.state_dict().keys()
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_a_run_with_a_frozen_part_needs_the_run_of_the_part_no_more(
    arguments: list[str], tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = frame_train.train([*arguments, "architectures.encoder.run=source"])
    shutil.rmtree(tmp_path / "source")
    encoder = load_run(trained, "best").model.encoder
    run = load_run(result.directory)
    assert_equal(run.model.encoder, encoder)
    assert not any(parameter.requires_grad for parameter in run.model.encoder.parameters())
    assert not any(module.training for module in run.model.train().encoder.modules())
    assert run.model.predictor.training
    content = torch.load(result.directory / "checkpoints" / "last.ckpt", weights_only=True)
    assert sum(len(group["params"]) for group in content["optimizer_states"][0]["param_groups"]) == 2
    assert read_description(result.directory)["pretrained"] == {
        "architectures.encoder": {
            "run": str(tmp_path / "source"),
            "part": "model.encoder",
            "frozen": True,
            "weights": "best",
        }
    }
    resumed = frame_train.train([f"resume={result.directory}", "trainer.max_epochs=2"])
    assert resumed.last["Train/loss"] < result.last["Train/loss"]
    assert_equal(load_run(result.directory).model.encoder, encoder)
    exported: dict[str, Any] = {}
    exec(load_run(result.directory).export(tmp_path / "model.safetensors"), exported)
    assert_equal(exported["model"].encoder, encoder)
    assert not any(parameter.requires_grad for parameter in exported["model"].encoder.parameters())


def test_a_part_that_is_not_frozen_is_trained(arguments: list[str], tmp_path: Path) -> None:
    probe = frame_train.train(arguments).directory
    shutil.move(probe, tmp_path / "probe")
    more = [
        "architectures.encoder.frozen=false",
        "architectures.encoder.weights=last",
        "architectures.encoder.run=" + str(tmp_path / "probe"),
    ]
    tuned = load_run(frame_train.train([*arguments, *more]).directory)
    before = load_run(tmp_path / "probe")
    assert tuned.model.encoder.training is False
    assert tuned.model.train().encoder.training
    for name, parameter in tuned.model.encoder.named_parameters():
        assert parameter.requires_grad
        assert not torch.equal(parameter, before.model.get_parameter(f"encoder.{name}"))


def test_parts_of_a_model_that_share_a_network_share_it_in_the_new_model(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(trained, tmp_path / "source"))
    change_config(source, "optimization.model", {"_target_": "torch.nn.Sequential", "_args_": ["${model}", "${model}"]})
    path = source / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    weights = {name.removeprefix("model."): value for name, value in content["state_dict"].items()}
    content["state_dict"] = {f"model.{place}.{name}": value for place in "01" for name, value in weights.items()}
    torch.save(content, path)
    path.with_name("last.ckpt.json").unlink()
    first, second = Pretrained(source, "model")
    assert first is second
    config = OmegaConf.create({"a": {"_target_": "frame_train.Pretrained", "run": str(source), "part": "model"}})
    inline_pretrained(config)
    assert config.a.module._args_[0] is config.a.module._args_[1]


def test_a_part_in_a_low_precision_keeps_it(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(trained, tmp_path / "source"))
    path = source / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content["state_dict"] = {name: value.bfloat16() for name, value in content["state_dict"].items()}
    torch.save(content, path)
    path.with_name("last.ckpt.json").unlink()
    assert {value.dtype for value in Pretrained(source, "model.encoder").parameters()} == {torch.bfloat16}


def test_a_text_of_the_part_that_looks_like_an_interpolation_remains_a_text(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(trained, tmp_path / "source"))
    change_config(source, "architectures.encoder.posterior", "${params.kind}")
    change_config(source, "params.kind", "\\${oc.env:HOME}")
    block = {"_target_": "frame_train.Pretrained", "run": str(source), "part": "model.encoder"}
    config = OmegaConf.create({"a": block})
    inline_pretrained(config)
    assert config.a.module.posterior == "${oc.env:HOME}"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("model.encodr", "the run has no 'model.encodr', only model, model.encoder, model.decoder"),
        ("encoder", "the run has no 'encoder', only model"),
        ("model.encoder.layers", "the run has no 'model.encoder.layers'"),
        ("data.train", "the run has no 'data.train'"),
    ],
)
def test_a_part_must_be_a_module_of_the_model(trained: Path, part: str, message: str) -> None:
    with pytest.raises(CompositionError, match=message):
        Pretrained(trained, part)


def test_a_part_without_weights_in_the_checkpoint_is_refused(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(trained, tmp_path / "source"))
    change_config(source, "architectures.encoder._copy_", True)  # another network for each reference
    with pytest.raises(CompositionError, match=r"'model.encoder' of '.*source' is not a module of its model"):
        Pretrained(source, "model.encoder")


def test_a_part_whose_weights_no_checkpoint_would_have_is_refused(arguments: list[str], tmp_path: Path) -> None:
    block = f"{{_target_: frame_train.Pretrained, run: {tmp_path / 'source'}, part: model.encoder}}"
    evaluator = f"{{_target_: frame_eval.FrechetDistanceEvaluation, evaluate_on: valid, features: {block}}}"
    with pytest.raises(CompositionError, match=r"^`evaluation.fid.evaluator.features`: `Pretrained` must be a part of"):
        frame_train.train([*arguments, f"+evaluation.fid={{evaluator: {evaluator}}}"])
    views = f"{{_target_: frame_train.data.TwoViews, data_set: '${{data.train}}', transform: {block}}}"
    with pytest.raises(CompositionError, match=r"^`data.views.transform`: `Pretrained` must be a part of the model"):
        frame_train.train([*arguments, f"+data.views={views}"])
    assert not (tmp_path / "runs").exists()


def test_the_run_of_a_part_is_opened_as_a_foreign_run(arguments: list[str], tmp_path: Path) -> None:
    source = tmp_path / "source"
    change_config(source, "architectures.encoder._target_", "subprocess.Popen")
    with pytest.raises(CompositionError, match=r"a foreign config can't build 'subprocess\.Popen' here"):
        frame_train.train(arguments)
    with pytest.raises(CompositionError, match=r"a foreign config can't build 'subprocess\.Popen' here"):
        frame_train.train([*arguments, "+architectures.encoder.allow=[collections]"])
    assert not (tmp_path / "runs").exists()


def test_damaged_weights_of_a_part_are_refused(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "source" / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CompositionError, match=r"`architectures.encoder` .*best.ckpt' is damaged"):
        frame_train.train(arguments)
    assert not (tmp_path / "runs").exists()


def test_a_foreign_run_can_open_no_other_run(trained: Path, tmp_path: Path) -> None:
    foreign = Path(shutil.copytree(trained, tmp_path / "foreign"))
    block = {"_target_": "frame_train.Pretrained", "run": str(trained), "part": "model.encoder"}
    change_config(foreign, "architectures.encoder", block)
    with pytest.raises(CompositionError, match=r"a foreign config can't build 'frame_train\.Pretrained' here"):
        load_run(foreign)
