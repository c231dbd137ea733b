import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from frame_core import Model, run_evaluation
from frame_eval import ELBOEvaluation
from frame_train import load_run
from frame_train.composition.objects import Composition
from frame_train.errors import CompositionError

ALONE = """
import importlib.abc, runpy, sys

class Refused(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pytorch_lightning", "hydra", "omegaconf", "wandb", "frame_train"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Refused())
import torch

for script in sys.argv[1:]:
    model = runpy.run_path(script)["model"]
    assert not model.training
    x = torch.linspace(0, 1, 2 * 64).view(2, 1, 8, 8)
    torch.manual_seed(0)
    if hasattr(model, "models"):
        given = [model.models["vae"].reconstruct({"x": x}), model.models["vib"].classify({"x": x}).probs]
    else:
        given = [model.reconstruct({"x": x}), model.sample(torch.Size([2]))]
    torch.save(given, script.replace(".py", ".pt"))
"""

ENCODER = {"_target_": "frame_architectures.digits.Encoder", "z_dim": 3, "layers": "${params.layers}"}
DECODER = {"_target_": "frame_architectures.digits.Decoder", "z_dim": 3, "layers": [7]}
PRIOR = {"_target_": "frame_architectures.DiagonalNormal", "z_dim": 3}
VAE = {
    "_target_": "frame_models.VariationalAutoencoder",
    "encoder": "${architectures.encoder}",
    "decoder": "${architectures.decoder}",
    "prior": PRIOR,
    "beta": "${params.beta}",
}
SCHEDULE = {"_target_": "frame_core.LinearWarmup", "start": 0.0, "end": 1.0, "over": "5 epochs"}
PARTS = {"encoder": ENCODER, "decoder": DECODER}


INJECTED = "a=0)\n__import__('os').system('true')  #"


@pytest.mark.parametrize("name", [INJECTED, "a b", "class", "a.b", "1", ""])
def test_a_key_that_is_not_the_name_of_an_argument_is_not_exported(tmp_path: Path, name: str) -> None:
    model = {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Identity", name: 1}]}
    store(tmp_path, {"model": model})
    with pytest.raises(CompositionError, match=r"can't be exported: .* is not the name of an argument"):
        load_run(tmp_path).export(tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()


VALUES = (INJECTED, "'\"", "\\", "\x1b[2J", "\x9b2J", "\u202e", "日本", {INJECTED: [INJECTED]}, None, 0.5)


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_value_is_exported_as_a_literal(tmp_path: Path, value: Any) -> None:
    model = {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Identity", "a": value}]}
    store(tmp_path, {"model": model})
    lines = load_run(tmp_path).export(tmp_path / "weights.safetensors")
    assert all(line.isprintable() for line in lines.splitlines())
    (call,) = (node for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Call) and node.keywords)
    assert ast.literal_eval(call.keywords[0].value) == value


def store(directory: Path, config: dict[str, Any], allow: tuple[str, ...] = ()) -> Model:
    """Write a run directory with uniform random weights, and load it."""
    config = {"params": {"layers": [5]}, "optimization": {"model": "${model}"}, **config}
    (directory / "checkpoints").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(config), directory / "config.yaml")
    (directory / "run.json").write_text('{"format": 1}')
    model = Composition().instantiate(OmegaConf.load(directory / "config.yaml"))["model"]
    for tensor in (*model.parameters(), *model.buffers()):
        torch.nn.init.uniform_(tensor)
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 3}, directory / "checkpoints" / "last.ckpt")
    return load_run(directory, allow=allow)


def test_the_exported_code_rebuilds_the_model_without_frame_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_layers.py").write_text(
        "from frame_architectures.digits import Encoder as EncoderOfDigits\n"
        "class Encoder(EncoderOfDigits):\n"
        "    def __init__(self, make):\n"
        "        super().__init__(**make.keywords)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = {"_target_": "own_layers.Encoder", "make": {**ENCODER, "_partial_": True}}
    configs: dict[str, dict[str, Any]] = {
        "schedule": {"params": {"layers": [5], "beta": SCHEDULE}, "architectures": PARTS, "model": VAE},
        "partial": {
            "params": {"layers": [5], "beta": 0.5},
            "architectures": {"encoder": own, "decoder": DECODER},
            "model": VAE,
        },
        "joint": {
            "params": {"layers": [5], "beta": 0.5},
            "architectures": PARTS,
            "model": {"_target_": "frame_core.JointModel", "models": "${models}", "weights": {"vib": 0.5}},
            "models": {
                "vae": VAE,
                "vib": {
                    "_target_": "frame_models.VariationalInformationBottleneck",
                    "encoder": "${architectures.encoder}",
                    "predictor": {"_target_": "frame_architectures.mnist.LabelPredictor", "z_dim": 3, "layers": [4]},
                    "prior": "${models.vae.prior}",
                    "beta": "${params.beta}",
                },
            },
        },
    }
    expected: dict[str, list[torch.Tensor]] = {}
    x = torch.linspace(0, 1, 2 * 64).view(2, 1, 8, 8)
    for name, config in configs.items():
        run = store(tmp_path / name, config, allow=("own_layers",))
        lines = run.export(tmp_path / f"{name}.safetensors")
        assert capsys.readouterr().out == f"{lines}\n"
        assert len(lines.splitlines()) <= 15
        (tmp_path / f"{name}.py").write_text(lines)
        torch.manual_seed(0)
        with torch.no_grad():
            if name == "joint":
                models = run.model.models
                expected[name] = [models["vae"].reconstruct({"x": x}), models["vib"].classify({"x": x}).probs]
            else:
                expected[name] = [run.model.reconstruct({"x": x}), run.model.sample(torch.Size([2]))]
    scripts = [str(tmp_path / f"{name}.py") for name in configs]
    subprocess.run([sys.executable, "-c", ALONE, *scripts], check=True, env={"PYTHONPATH": str(tmp_path)})
    for name, values in expected.items():
        for given, value in zip(torch.load(tmp_path / f"{name}.pt"), values, strict=True):
            assert torch.equal(given, value)


def test_the_exported_code_is_what_a_person_would_write(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert load_run(trained).export(path).splitlines() == [
        "from frame_architectures import DiagonalNormal",
        "from frame_architectures.digits import Decoder, Encoder",
        "from frame_core import LinearWarmup",
        "from frame_models import VariationalAutoencoder",
        "from safetensors.torch import load_model",
        "",
        "encoder = Encoder(z_dim=16, layers=[256, 128])",
        'decoder = Decoder(z_dim=16, layers=[128, 256], likelihood="Bernoulli", scale=None)',
        "prior = DiagonalNormal(z_dim=16)",
        'beta = LinearWarmup(start=0.0, end=1.0, over="4 epochs")',
        "model = VariationalAutoencoder(encoder=encoder, decoder=decoder, prior=prior, beta=beta, "
        "free_bits=0.0, closed_form=True)",
        f'load_model(model, "{path}")',
        "model.eval()",
    ]


def test_only_shared_components_become_variables(tmp_path: Path) -> None:
    stack = {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Identity"}, "${shared}"]}
    config = {
        "shared": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 2},
        "list": [stack],
        "model": {"_target_": "torch.nn.Sequential", "_args_": ["${shared}", stack, "${shared}"]},
    }
    lines = store(tmp_path / "run", config).export(tmp_path / "x").splitlines()
    assert lines[3:5] == [
        "shared = Linear(in_features=2, out_features=2)",
        "model = Sequential(shared, Sequential(Identity(), shared), shared)",
    ]


def test_a_model_in_double_precision_is_loaded_and_exported_in_it(train: Callable[..., Any], tmp_path: Path) -> None:
    train("+experiment=DIGITS_VAE", "logging=none", "trainer.precision=64-true", "trainer.max_steps=2")
    (directory,) = (tmp_path / "runs" / "DIGITS" / "VAE").iterdir()
    run = load_run(directory)
    bound = run_evaluation(ELBOEvaluation("valid"), run).value
    assert bound == run.metrics["ELBO/Validation"].dropna().iloc[-1]
    names: dict[str, Any] = {}
    exec(run.export(tmp_path / "double.safetensors"), names)
    for name, value in run.model.state_dict().items():
        assert value.dtype == torch.float64
        assert torch.equal(names["model"].state_dict()[name], value)
