"""`train --check`, `--check-all` and `--list`: all errors at once, without the data."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from frame_train.commands.check import check_sweep
from frame_train.composition.options import find_groups, read_options
from frame_train.composition.origins import Origins
from frame_train.composition.settings import config_directory, register_resolvers, workspace

Train = Callable[..., Any]
EXPERIMENTS = sorted(read_options("experiment", [config_directory()]))


@pytest.fixture(autouse=True)
def resolvers() -> None:
    register_resolvers()


_CHECKED = ("DIGITS_VAE", "FashionMNIST_VAE", "MNIST_GAN", "MNIST_SimCLR", "Moons_FlowMatching")
"""Experiments of each data set and of each kind of optimization. `.ci/run` checks all experiments."""


@pytest.mark.parametrize(
    "experiment",
    [pytest.param(name, marks=[] if name in _CHECKED else pytest.mark.slow) for name in EXPERIMENTS],
)
def test_every_experiment_passes_the_check_without_its_data(
    experiment: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a file of the data set was read")

    monkeypatch.setattr("frame_train.data.sources.mnist._load", refuse)
    result = train("--check", f"+experiment={experiment}", "device.data_root=nowhere")
    assert result.code == 0, result
    assert result.errors == ""
    assert result.output.startswith("This config: no mistakes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "choice", ["architectures=MNIST_conv", "+architectures/prior=mixture", "+architectures/prior=flow"]
)
def test_the_vae_accepts_other_networks_and_priors(choice: str, train: Train) -> None:
    result = train("--check", "+experiment=MNIST_VAE", choice)
    assert result.code == 0, result


def test_all_mistakes_are_reported_at_once_with_their_origin(train: Train) -> None:
    result = train(
        "--check",
        "+experiment=MNIST_VAE",
        "params.bata=1",
        "params.lr=fast",
        "architectures.prior.z_dim=3",
        "evaluation.samples.evaluate_every=often",
        "monitor.metric=ELBO/Valid",
        "evaluation.elbo_train.name=ELBO/Validation",
    )
    assert result.code == 2
    problems = result.errors.split("error: ")[1:]
    assert len(problems) == 6
    for message, origin in (
        ("Did you mean `params.beta`?", ""),
        ("`optimization.lr` must be of type float, got 'fast'. It comes from `params.lr`", "in the command line"),
        ("event shape (64,), got () and (3,)", "in config/architectures/MNIST.yaml, the command line"),
        ("got 'often'", "in the command line"),
        ("nothing logs 'ELBO/Valid'", "It comes from `monitor.metric`.\n  in the command line"),
        ("'ELBO/Validation' is also the name of `evaluation.elbo_validation`", "in the command line"),
    ):
        (problem,) = [problem for problem in problems if message in problem]
        assert origin in problem
    assert "This config: 6 mistakes" in result.output


def write_experiment(tmp_path: Path, experiment: str, blocks: str = "") -> None:
    (tmp_path / "my" / "experiment").mkdir(parents=True)
    text = f"# @package _global_\n# An experiment of the user.\ndefaults: [DIGITS_VAE, _self_]\n{experiment}"
    (tmp_path / "my" / "experiment" / "mine.yaml").write_text(text)
    (tmp_path / "check_blocks.py").write_text(blocks)


@pytest.fixture
def user_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("check_blocks", None)


BLOCKS = """
import torch
from torch import nn
from torch.utils.data import Dataset
from frame_architectures import digits
from frame_core import SCALAR_ENTRY, Evaluation, LogEntry, get_split
from frame_models import VariationalAutoencoder
from frame_train.data import SyntheticDataset
from frame_train.optimization import BatchOptimization

class EncoderWithSpare(digits.Encoder):
    def __init__(self, z_dim, layers):
        super().__init__(z_dim, layers)
        self.spare = nn.Linear(2, 3)

class TenExamplesEvaluation(Evaluation):
    evaluate_on = "valid"

    def evaluate(self, optimization):
        n_examples = len(get_split(optimization.data, self.evaluate_on))
        if n_examples < 10:
            raise ValueError(f"needs 10 examples, has {n_examples}")
        return LogEntry(SCALAR_ENTRY, n_examples)

class Recordings(Dataset):
    def __init__(self):
        raise RuntimeError("the data are read")

class First(Dataset):
    def __init__(self, data_set):
        self.names = data_set.names[:1]

class Spectra:
    def __init__(self, folder):
        raise OSError("the folder is read")

    @classmethod
    def synthesize(cls, folder):
        return SyntheticDataset(1000, (1, 8, 8), 10)

class LongSpectra(Spectra):
    @classmethod
    def synthesize(cls, folder):
        return SyntheticDataset(1000, (1, 256), 10)

class TwoEncoders(VariationalAutoencoder):
    def __init__(self, encoder, decoder, prior, other, **options):
        super().__init__(encoder, decoder, prior, **options)

class HalfOptimization(BatchOptimization):
    def configure_optimizers(self):
        self.automatic_optimization = False
        decoder = list(self.model.decoder.parameters())
        return [self._make_optimizer(decoder), self._make_optimizer(decoder)]
"""


@pytest.mark.usefixtures("user_blocks")
def test_parameters_without_a_gradient_are_reported(tmp_path: Path, train: Train) -> None:
    write_experiment(tmp_path, "architectures: {encoder: {_target_: check_blocks.EncoderWithSpare}}", BLOCKS)
    result = train("--check", "--config-dir=my", "+experiment=mine")
    assert result.code == 2
    assert "`encoder.spare.weight`, `encoder.spare.bias` get no gradient" in result.errors


@pytest.mark.usefixtures("user_blocks")
def test_parameters_without_an_optimizer_or_with_two_are_reported(tmp_path: Path, train: Train) -> None:
    write_experiment(tmp_path, "", BLOCKS)
    arguments = ("optimization=batch", "optimization._target_=check_blocks.HalfOptimization")
    result = train("--check", "--config-dir=my", "+experiment=mine", *arguments)
    assert result.code == 2
    unoptimized, shared = result.errors.split("error: ")[1:]
    assert "`encoder." in unoptimized
    assert "belong to no optimizer" in unoptimized
    assert "`decoder." in shared
    assert "belong to more than one optimizer" in shared


def test_two_networks_with_equal_configs_cause_a_note_and_no_error(tmp_path: Path, train: Train) -> None:
    twin = "{layers: [256, 128], z_dim: 16, _target_: frame_architectures.digits.Encoder}"
    write_experiment(tmp_path, f"model: {{encoder: {twin}}}", BLOCKS)
    arguments = ("model._target_=check_blocks.TwoEncoders", "+model.other=${architectures.encoder}")
    result = train("--check", "--config-dir=my", "+experiment=mine", *arguments)
    assert result.code == 0, result
    assert "note: `model.encoder` and `architectures.encoder` are separate networks with equal configs" in result.errors


def test_data_without_a_declared_form_are_reported_and_not_read(tmp_path: Path, train: Train) -> None:
    write_experiment(tmp_path, "data: {train: {_target_: torchvision.datasets.MNIST, root: nowhere}}")
    result = train("--check", "--config-dir=my", "+experiment=mine", "~data.train.split")
    assert result.code == 0, result
    assert "The data set of `data.train` has no `synthesize`" in result.errors


OWN_DATA = """
data:
  train: {_target_: check_blocks.Recordings}
  valid: {_target_: check_blocks.First, data_set: "${data.train}"}
  test: null
"""
OWN_DATA_NOTE = (
    "note: The data set of `data.train` has no `synthesize`, so nothing that reads it was tried: see docs/data.md.\n"
)


@pytest.mark.usefixtures("user_blocks")
@pytest.mark.parametrize("experiment", ["DIGITS_VAE", "DIGITS_Classifier"])
def test_data_of_unknown_form_are_one_note_and_no_mistake(tmp_path: Path, train: Train, experiment: str) -> None:
    write_experiment(tmp_path, OWN_DATA, BLOCKS)
    path = tmp_path / "my" / "experiment" / "mine.yaml"
    path.write_text(path.read_text().replace("DIGITS_VAE", experiment))
    arguments = [f"~data.{split}.split" for split in ("train", "valid")]
    result = train("--check", "--config-dir=my", "+experiment=mine", *arguments)
    assert (result.code, result.errors) == (0, OWN_DATA_NOTE), result


@pytest.mark.usefixtures("user_blocks")
def test_what_reads_no_data_of_unknown_form_is_tried(tmp_path: Path, train: Train) -> None:
    write_experiment(tmp_path, OWN_DATA, BLOCKS)
    arguments = [f"~data.{split}.split" for split in ("train", "valid")]
    result = train("--check", "--config-dir=my", "+experiment=mine", "architectures.decoder.z_dim=3", *arguments)
    assert result.code == 2
    assert result.errors.startswith("error: `evaluation.samples`: ")
    assert result.errors.count("error: ") == 1


DECLARED_DATA = """
data:
  train: {_target_: check_blocks.Spectra, folder: nowhere}
  valid: ${data.train}
  test: null
"""


@pytest.mark.usefixtures("user_blocks")
def test_data_that_declare_their_form_are_tried_without_being_read(tmp_path: Path, train: Train) -> None:
    write_experiment(tmp_path, DECLARED_DATA, BLOCKS)
    arguments = ["--check", "--config-dir=my", "+experiment=mine", "~data.train.split"]
    result = train(*arguments)
    assert (result.code, result.errors) == (0, ""), result
    result = train(*arguments, "data.train._target_=check_blocks.LongSpectra")
    assert result.code == 2
    assert "the loss of two training examples can't be computed" in result.errors
    assert "256" in result.errors


def test_an_evaluation_that_does_not_fit_the_model_is_reported_once(train: Train) -> None:
    result = train("--check", "+experiment=DIGITS_Classifier", "+evaluation=[elbo,samples]")
    assert result.code == 2
    keys = re.findall("error: `(.*?)`", result.errors)
    assert keys == ["evaluation.elbo_validation", "evaluation.elbo_train", "evaluation.samples"]


@pytest.mark.usefixtures("user_blocks")
def test_an_evaluation_that_needs_more_than_two_examples_passes_the_check(tmp_path: Path, train: Train) -> None:
    write_experiment(
        tmp_path, "evaluation: {samples: {evaluator: {_target_: check_blocks.TenExamplesEvaluation}}}", BLOCKS
    )
    removals = ("~evaluation.samples.evaluator.n_pictures", "~evaluation.samples.evaluator.sample_output")
    result = train("--check", "--config-dir=my", "+experiment=mine", *removals)
    assert result.code == 0, result


def test_a_config_for_a_gpu_can_be_checked_without_a_gpu(train: Train) -> None:
    assert train("--check", "+experiment=DIGITS_VAE", "device=workstation").code == 0


def test_trainer_options_that_do_not_fit_adversarial_training_are_reported(train: Train) -> None:
    result = train("--check", "+experiment=MNIST_GAN", "trainer.accumulate_grad_batches=2")
    assert result.code == 2
    assert "`trainer.accumulate_grad_batches` must be 1" in result.errors


def test_a_global_batch_is_checked_for_the_number_of_processes_in_the_config(train: Train) -> None:
    gan = ("--check", "+experiment=DIGITS_DCGAN", "params.batch_size=16", "optimization.global_batch_size=32")
    assert train(*gan, "trainer.devices=2").code == 0
    key = "`optimization.global_batch_size` must be"
    assert f"error: {key} at most 16 (`batch_size` × processes = 16 × 1) for manual" in train(*gan).errors
    assert f"error: {key} a multiple of 3, the number" in train(*gan, "trainer.devices=[0,1,2]").errors


def test_the_parts_of_a_sharded_model_are_checked_in_one_process(train: Train) -> None:
    strategy = "{_target_: frame_train.optimization.ShardedStrategy, parts: [encodr.network]}"
    result = train("--check", "+experiment=DIGITS_VAE", "trainer.devices=2", f"+trainer.strategy={strategy}")
    assert result.code == 2
    assert "error: `trainer.strategy.parts`: 'encodr.network' matches no part with parameters of `Vari" in result.errors
    assert "Did you mean `encoder.network`?" in result.errors
    result = train("--check", "+experiment=DIGITS_DCGAN", "trainer.devices=2", f"+trainer.strategy={strategy}")
    assert "`ShardedStrategy` needs an optimization with one optimizer." in result.errors


def test_a_monitored_metric_that_is_not_a_number_is_reported(train: Train) -> None:
    result = train("--check", "+experiment=DIGITS_VAE", "monitor.metric=Images/Samples")
    assert result.code == 2
    assert "nothing logs 'Images/Samples', only 'ELBO/Validation', 'ELBO/Train', 'Train'" in result.errors


def test_the_origin_of_a_key_is_the_last_file_that_sets_it() -> None:
    origins = Origins(["experiment=FashionMNIST_VAE", "logging=tensorboard", "params.beta=3"])
    assert origins.find("params.beta") == ["the command line"]
    assert origins.find("params.lr") == ["config/experiment/MNIST_VAE.yaml"]
    assert origins.find("run.project") == ["config/experiment/FashionMNIST_VAE.yaml"]
    assert origins.find("architectures.encoder.layers[0]") == ["config/architectures/MNIST.yaml"]
    assert origins.find("callbacks.best_checkpoint.mode") == ["config/callbacks/checkpoint/best.yaml"]
    assert origins.find("nothing.here") == []


SWEEP = """
command: [uv, run, train, +experiment=DIGITS_VAE, logging=none, "${{args_no_hyphens}}"]
metric: {{name: {metric}, goal: maximize}}
parameters: {parameters}
"""


@pytest.mark.parametrize(
    ("metric", "parameters", "messages"),
    [
        ("ELBO/Validation", "{params.beta: {min: 0.1, max: 1}}", []),
        ("ELBO/Valid", "{params.beta: {values: [1, 2]}}", ["nothing logs 'ELBO/Valid'", "`ELBO/Validation`"]),
        ("ELBO/Validation", "{params.bata: {value: 1}}", ["`params.bata`", "Did you mean `params.beta`?"]),
        ("ELBO/Validation", "{params.beta: {values: [-1]}}", ["`beta` must be non-negative"]),
    ],
)
def test_a_sweep_file_is_checked(tmp_path: Path, metric: str, parameters: str, messages: list[str]) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.format(metric=metric, parameters=parameters))
    findings = check_sweep(tmp_path / "sweep.yaml")
    assert len(findings.problems) == (1 if messages else 0)
    for message in messages:
        assert message in str(findings.problems[0])


@pytest.mark.slow
def test_check_all_checks_every_experiment_and_sweep(train: Train) -> None:
    result = train("--check-all")
    assert result.code == 0, result
    sweeps = [path.name for path in (workspace() / "apps" / "train" / "sweeps").glob("*.yaml")]
    assert re.findall(r"^(\S+): no mistakes", result.output, re.MULTILINE) == [*EXPERIMENTS, *sorted(sweeps)]


def test_every_option_has_a_one_line_description(train: Train, tmp_path: Path) -> None:
    for group in find_groups([config_directory()]):
        for name, description in read_options(group, [config_directory()]).items():
            assert description, f"{group}/{name}"
    write_experiment(tmp_path, "")
    result = train("--list", "experiment", "--config-dir", "my")
    assert result.code == 0
    assert re.search(r"^mine\s+An experiment of the user\.", result.output, re.MULTILINE)
    assert re.search(r"^MNIST_VAE\s+A variational autoencoder", result.output, re.MULTILINE)


@pytest.mark.slow
def test_compatible_options_are_listed_by_capability(train: Train) -> None:
    result = train("--list", "evaluation", "--compatible-with", "experiment=MNIST_GAN")
    assert result.code == 0
    names = [line.split()[0] for line in result.output.splitlines()]
    assert names == ["digits_features", "fashion_mnist_features", "loss", "mnist_features", "samples", "wasserstein"]
    assert "not elbo: `evaluation.elbo_validation`: `ELBOEvaluation` needs a `VariationalModel`" in result.errors


def test_a_program_reads_the_mistakes_and_the_options_as_json(train: Train) -> None:
    result = train("--check", "--json", "+experiment=MNIST_VAE", "params.beat=1", "params.encoder_layers=1")
    found = json.loads(result.output)
    assert result.code == 2
    assert [mistake["key"] for mistake in found["mistakes"]] == ["params.beat", "architectures.encoder.layers"]
    assert found["mistakes"][0]["message"].startswith("The config has no key `params.beat`")
    assert json.loads(train("--list", "model", "--json").output)["VAE"] == "Variational autoencoder."
    assert train("--json").errors == "error: `--json` needs `--check` or `--list`.\n"
