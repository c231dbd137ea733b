"""Every shipped experiment trains two steps on real images, and all of its evaluations run."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from frame_train.composition.settings import config_directory

EXPERIMENTS = sorted(path.stem for path in (config_directory() / "experiment").glob("*.yaml"))
LOGGED = {
    "AE": {"LinearProbe/Validation", "Images/Interpolation", "Images/Reconstructions", "Plots/LatentSpace"},
    "BarlowTwins": {"LinearProbe/Validation", "NearestNeighborProbe/Validation", "Train/redundancy"},
    "BetaTCVAE": {
        "MIG/Validation",
        "FactorVAEScore/Validation",
        "DCI/Validation/completeness",
        "SAP/Validation",
        "Train/total_correlation",
    },
    "CEB": {"Accuracy/Validation", "Calibration/Validation/ece", "Plots/Reliability", "Plots/Rejection"},
    "CVAE": {"ELBO/Validation", "Images/Samples", "Images/Reconstructions"},
    "CategoricalVAE": {"LogLikelihood/Validation", "ELBO/Validation", "Images/Samples"},
    "Classifier": {"Accuracy/Validation", "Accuracy/Train", "Plots/ConfusionMatrix"},
    "DCGAN": {"Wasserstein/Validation", "Images/Samples", "Train/generator_loss"},
    "DDPM": {"Wasserstein/Validation", "Images/Samples", "Train/loss"},
    "FactorVAE": {"MIG/Validation", "Train/generator_total_correlation", "Train/discriminator_accuracy"},
    "FlowMatching": {"Wasserstein/Validation", "Train/loss"},
    "GAN": {"FrechetDistance-MNIST-9e6e0735/Validation", "Images/Samples", "Train/generator_loss"},
    "HierarchicalVAE": {"LogLikelihood/Validation", "ELBO/Validation", "Images/Samples"},
    "IWAE": {"LogLikelihood/Test", "ELBO/Validation", "Images/Samples", "Train/elbo"},
    "Joint": {"ELBO/Validation", "Accuracy/Validation", "Images/Reconstructions", "Train/vib_loss"},
    "M2": {"Accuracy/Validation", "ELBO/Validation", "Images/Samples", "Train/labelled"},
    "MAF": {"LogLikelihood/Validation", "Loss/Validation/bits_per_dimension", "Images/Samples"},
    "MIB": {"LinearProbe/Validation", "Plots/LatentSpace", "Train/mutual_information"},
    "NSF": {"LogLikelihood/Validation", "Plots/Points"},
    "SMILE": {"Loss/Validation/mutual_information", "Train/mutual_information"},
    "SimCLR": {"LinearProbe/Validation", "Plots/LatentSpace", "Train/loss"},
    "VAE": {"ELBO/Validation", "ELBO/Train", "Images/Samples", "Images/Reconstructions"},
    "VIB": {"Accuracy/Test", "Accuracy/Validation", "Plots/ConfusionMatrix", "Plots/LatentSpace"},
    "VICReg": {"LinearProbe/Validation", "NearestNeighborProbe/Validation", "Train/covariance"},
    "VampPrior": {"LogLikelihood/Validation", "ELBO/Validation", "Images/Samples"},
    "VQVAE": {"ELBO/Validation", "Images/Reconstructions", "Train/perplexity"},
    "WGAN_GP": {"FrechetDistance-MNIST-9e6e0735/Validation", "Train/discriminator_loss"},
}
PROMISED = {
    "CorrelatedGaussians": "SMILE",
    "DIGITS": "CEB CategoricalVAE Classifier DCGAN DDPM FlowMatching HierarchicalVAE M2 MAF VAE VampPrior",
    "FashionMNIST": "Classifier VAE VIB",
    "MNIST": "AE BarlowTwins CVAE Classifier GAN IWAE Joint MIB SimCLR VAE VIB VICReg VQVAE WGAN_GP",
    "Moons": "FlowMatching NSF",
    "Shapes": "BetaTCVAE FactorVAE VAE",
}
_FEATURES = [
    f"evaluation.{name}.evaluator.n_samples=300"
    for name in ("frechet_distance", "kernel_distance", "precision_recall", "class_coverage")
]
_LIKELIHOOD = ["evaluation.log_likelihood.evaluator.n_latent_samples=10"]
_DISTANCE = ["evaluation.wasserstein.evaluator.n_samples=200"]
_FACTORS = ["data.train.data_set.split=test", "evaluation.factor_vae_score.evaluator.n_votes=100"]
SHORTER = {
    "DIGITS_CategoricalVAE": _LIKELIHOOD,
    "DIGITS_DCGAN": _DISTANCE,
    "DIGITS_DDPM": ["params.n_steps=20", *_DISTANCE],
    "DIGITS_FlowMatching": _DISTANCE,
    "DIGITS_HierarchicalVAE": _LIKELIHOOD,
    "DIGITS_VampPrior": _LIKELIHOOD,
    "MNIST_GAN": _FEATURES,
    "MNIST_IWAE": _LIKELIHOOD,
    "MNIST_WGAN_GP": _FEATURES,
    "Moons_FlowMatching": _DISTANCE,
    "Shapes_BetaTCVAE": _FACTORS,
    "Shapes_FactorVAE": _FACTORS,
    "Shapes_VAE": _FACTORS,
}
"""Settings that shorten the evaluations."""

BLOCKS = """
import torch
from frame_train.data import InMemoryDataset, TwoViews

def take(data_set, n_examples):
    "Return the first examples of a data set, each with two views."
    batch = TwoViews(data_set).get_batch(torch.arange(n_examples))
    return InMemoryDataset(batch)
"""
SPLIT = """
{split}:
  _target_: few_blocks.take
  n_examples: 300
  data_set:
    _target_: frame_train.data.{name}
    split: {split}
"""


@pytest.fixture
def few_examples(tmp_path: Path, data_root: Path) -> Iterator[Callable[[str], str]]:
    """Write an option of the group `data` with few of the images."""
    (tmp_path / "few_blocks.py").write_text(BLOCKS)
    (tmp_path / "few" / "data").mkdir(parents=True)

    def write(name: str) -> str:
        splits = [SPLIT.format(split=split, name=name) for split in ("train", "valid", "test")]
        if name != "Shapes":
            splits = [f"{split}    root: {data_root}\n" for split in splits]
        (tmp_path / "few" / "data" / "few.yaml").write_text("".join(splits))
        return "few"

    yield write
    sys.modules.pop("few_blocks", None)


_FIRST = {experiment.partition("_")[2]: experiment for experiment in reversed(EXPERIMENTS)}
"""The first experiment of each kind. The same kind on other data is slow."""


@pytest.mark.parametrize(
    "experiment",
    [pytest.param(name, marks=[] if name in _FIRST.values() else pytest.mark.slow) for name in EXPERIMENTS],
)
def test_an_experiment_trains_two_steps_and_runs_all_its_evaluations(
    experiment: str, train: Callable[..., Any], few_examples: Callable[[str], str], tmp_path: Path
) -> None:
    data, _, kind = experiment.partition("_")
    arguments = [f"+experiment={experiment}", "logging=none", "trainer.max_epochs=1", "trainer.limit_train_batches=2"]
    if data not in ("CorrelatedGaussians", "DIGITS", "Moons"):
        arguments += ["--config-dir", "few", f"data={few_examples(data)}"]
    result = train(*arguments, *SHORTER.get(experiment, ()))
    assert result.code == 0, result
    assert result.errors == ""
    (metrics,) = tmp_path.rglob("metrics.jsonl")
    logged = {name for line in metrics.read_text().splitlines() for name in json.loads(line)}
    assert LOGGED[kind] <= logged
    assert not [name for name in logged if name.endswith("/Error")]
    assert (metrics.parent / "checkpoints" / "last.ckpt").is_file()


def test_every_promised_kind_of_experiment_exists() -> None:
    assert {f"{data}_{kind}" for data, kinds in PROMISED.items() for kind in kinds.split()} <= set(EXPERIMENTS)
