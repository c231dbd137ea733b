"""Every shipped model is trained and evaluated in every precision of the trainer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

from frame_architectures import DiagonalNormal, PairCritic
from frame_architectures.mnist import Decoder, Discriminator, Encoder, Generator, LabelClassifier, LabelPredictor
from frame_core import AdversarialModel, Evaluation, JointModel, Model
from frame_eval import (
    AccuracyEvaluation,
    ConfusionMatrixEvaluation,
    ELBOEvaluation,
    ImageReconstructionEvaluation,
    ImageSampleEvaluation,
    InterpolationEvaluation,
    LatentSpaceEvaluation,
    LinearProbeEvaluation,
    LogLikelihoodEvaluation,
    PartEvaluation,
)
from frame_models import (
    Autoencoder,
    Classifier,
    GenerativeAdversarialNetwork,
    MultiViewInformationBottleneck,
    VariationalAutoencoder,
    VariationalInformationBottleneck,
    WassersteinGAN,
)
from frame_train.callbacks import EvaluationCallback
from frame_train.data import SyntheticDataset, TwoViews
from frame_train.optimization import (
    AdamBatchOptimization,
    AdversarialOptimization,
    BatchOptimization,
    OptimizationModule,
)
from trainers import ignore_lightning_warnings, make_trainer

pytestmark = ignore_lightning_warnings


def make_vae() -> VariationalAutoencoder:
    return VariationalAutoencoder(Encoder(4, [8]), Decoder(4, [8]), DiagonalNormal(4))


def make_vib() -> VariationalInformationBottleneck:
    return VariationalInformationBottleneck(Encoder(4, [8]), LabelPredictor(4, []), DiagonalNormal(4), 1e-3, 3)


MODELS: dict[str, Callable[[], Model]] = {
    "AE": lambda: Autoencoder(Encoder(4, [8], posterior="Delta"), Decoder(4, [8])),
    "Classifier": lambda: Classifier(LabelClassifier([8])),
    "GAN": lambda: GenerativeAdversarialNetwork(Generator(4, [8]), Discriminator([8]), DiagonalNormal(4)),
    "MIB": lambda: MultiViewInformationBottleneck(*[Encoder(4, [8])] * 2, PairCritic(4, [8]), beta=0.1),
    "VAE": make_vae,
    "VIB": make_vib,
    "WGAN_GP": lambda: WassersteinGAN(Generator(4, [8]), Discriminator([8]), DiagonalNormal(4)),
    "Joint": lambda: JointModel({"vae": make_vae(), "vib": make_vib()}),
}
EVALUATIONS: list[Evaluation] = [
    AccuracyEvaluation("valid"),
    ConfusionMatrixEvaluation("valid"),
    ELBOEvaluation("valid"),
    ImageReconstructionEvaluation("valid"),
    ImageSampleEvaluation(4),
    InterpolationEvaluation("valid"),
    LatentSpaceEvaluation("valid"),
    LinearProbeEvaluation("valid"),
    LogLikelihoodEvaluation("valid"),
    PartEvaluation("vae", ELBOEvaluation("valid")),
]


def make_optimization(model: Model) -> OptimizationModule:
    data = {"train": TwoViews(SyntheticDataset(20, (1, 28, 28), 10)), "valid": SyntheticDataset(6, (1, 28, 28), 10)}
    options: dict[str, Any] = {"data": data, "num_workers": 0, "batch_size": 10}
    adam = partial(torch.optim.Adam, lr=1e-3)
    if isinstance(model, JointModel):
        return BatchOptimization(model, optimizer=adam, **options)
    if isinstance(model, AdversarialModel):
        return AdversarialOptimization(model, generator_optimizer=adam, discriminator_optimizer=adam, **options)
    return AdamBatchOptimization(model, lr=1e-3, **options)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true", "bf16-true"])
def test_every_model_is_trained_and_evaluated_in_every_precision(precision: Any, name: str) -> None:
    torch.manual_seed(0)
    optimization = make_optimization(MODELS[name]())
    before = [parameter.detach().clone() for parameter in optimization.parameters()]
    evaluations = [evaluation for evaluation in EVALUATIONS if isinstance(optimization.model, evaluation.requires)]
    callbacks: list[Callback] = [EvaluationCallback(str(i), "1 epoch", part) for i, part in enumerate(evaluations)]
    trainer = make_trainer(*callbacks, precision=precision, max_epochs=1)
    optimization.check_trainer(trainer)
    trainer.fit(optimization)
    assert optimization.counters["iteration"] == 2
    assert all(parameter.isfinite().all() for parameter in optimization.parameters())
    after = [parameter.to(old.dtype) for old, parameter in zip(before, optimization.parameters())]
    assert any(not torch.equal(old, new) for old, new in zip(before, after))
