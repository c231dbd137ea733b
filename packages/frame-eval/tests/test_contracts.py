"""Checks of every evaluation of the package against the contract of its interface."""

import subprocess
import sys
from inspect import isabstract, isclass

import pytest
import torch
from torch import nn

import frame_eval
from frame_core import Evaluation, JointModel, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization, check_evaluation, make_tiny_data
from frame_eval import (
    AccuracyEvaluation,
    ActiveUnitsEvaluation,
    CalibrationEvaluation,
    ClassCoverageEvaluation,
    ConfusionMatrixEvaluation,
    DCIEvaluation,
    ELBOEvaluation,
    FactorVAEScoreEvaluation,
    FrechetDistanceEvaluation,
    ImageReconstructionEvaluation,
    ImageSampleEvaluation,
    InterpolationEvaluation,
    KernelDistanceEvaluation,
    LatentSpaceEvaluation,
    LatentTraversalEvaluation,
    LinearProbeEvaluation,
    LogLikelihoodEvaluation,
    LossEvaluation,
    MutualInformationGapEvaluation,
    NearestNeighborProbeEvaluation,
    PartEvaluation,
    PointSampleEvaluation,
    PrecisionRecallEvaluation,
    RateDistortionEvaluation,
    RejectionCurveEvaluation,
    ReliabilityDiagramEvaluation,
    SAPEvaluation,
    WassersteinDistanceEvaluation,
)

EVALUATIONS: dict[str, Evaluation] = {
    "AccuracyEvaluation": AccuracyEvaluation("valid", n_samples=5, n_latent_samples=2),
    "ActiveUnitsEvaluation": ActiveUnitsEvaluation("valid", n_samples=5),
    "RateDistortionEvaluation": RateDistortionEvaluation("valid", n_samples=5, n_latent_samples=2),
    "CalibrationEvaluation": CalibrationEvaluation("valid", n_samples=5, n_latent_samples=2),
    "ClassCoverageEvaluation": ClassCoverageEvaluation("valid", nn.Flatten(), n_samples=8),
    "KernelDistanceEvaluation": KernelDistanceEvaluation("valid", nn.Flatten(), n_samples=8),
    "PrecisionRecallEvaluation": PrecisionRecallEvaluation("valid", nn.Flatten(), n_samples=8),
    "ConfusionMatrixEvaluation": ConfusionMatrixEvaluation("valid", n_samples=5, n_latent_samples=2),
    "DCIEvaluation": DCIEvaluation("valid"),
    "ELBOEvaluation": ELBOEvaluation("valid", n_samples=5, n_latent_samples=2),
    "FactorVAEScoreEvaluation": FactorVAEScoreEvaluation("valid", n_votes=6, group_size=3),
    "FrechetDistanceEvaluation": FrechetDistanceEvaluation("valid", nn.Flatten(), n_samples=8),
    "ImageReconstructionEvaluation": ImageReconstructionEvaluation(
        "valid", n_pictures=3, sample_images=True, sample_latents=True
    ),
    "ImageSampleEvaluation": ImageSampleEvaluation(n_pictures=3, sample_output=True),
    "InterpolationEvaluation": InterpolationEvaluation("valid", n_rows=2, n_steps=3),
    "LatentSpaceEvaluation": LatentSpaceEvaluation("valid", n_samples=5),
    "LatentTraversalEvaluation": LatentTraversalEvaluation("valid", n_steps=3),
    "LinearProbeEvaluation": LinearProbeEvaluation("valid", n_train=8),
    "LogLikelihoodEvaluation": LogLikelihoodEvaluation("valid", n_samples=5, n_latent_samples=2),
    "LossEvaluation": LossEvaluation("valid"),
    "NearestNeighborProbeEvaluation": NearestNeighborProbeEvaluation("valid", n_train=8, n_neighbors=3),
    "MutualInformationGapEvaluation": MutualInformationGapEvaluation("valid", n_samples=5),
    "PartEvaluation": PartEvaluation("one", ELBOEvaluation("valid", n_samples=5, n_latent_samples=2)),
    "PointSampleEvaluation": PointSampleEvaluation("valid", n_points=5),
    "RejectionCurveEvaluation": RejectionCurveEvaluation("valid", n_samples=5, n_latent_samples=2),
    "ReliabilityDiagramEvaluation": ReliabilityDiagramEvaluation("valid", n_samples=5, n_latent_samples=2),
    "SAPEvaluation": SAPEvaluation("valid"),
    "WassersteinDistanceEvaluation": WassersteinDistanceEvaluation("valid", n_samples=5),
}


CONCRETE = [
    name
    for name in frame_eval.__all__
    if isclass(getattr(frame_eval, name)) and not isabstract(getattr(frame_eval, name))
]


@pytest.mark.parametrize("name", CONCRETE)
def test_evaluation_satisfies_the_contract(name: str) -> None:
    evaluation = EVALUATIONS[name]
    assert type(evaluation) is getattr(frame_eval, name)
    if name == "PointSampleEvaluation":
        optimization = TinyOptimization(TinyModel((2,)), {"valid": make_tiny_data(7, (2,))})
    elif evaluation.requires is JointModel:
        optimization = TinyOptimization(JointModel({"one": TinyModel(), "two": TinyModel()}))
    elif name in ("DCIEvaluation", "FactorVAEScoreEvaluation", "MutualInformationGapEvaluation", "SAPEvaluation"):
        data = [{**example, "factors": torch.tensor([i % 2, i % 3])} for i, example in enumerate(make_tiny_data(60))]
        optimization = TinyOptimization(data={"valid": data})
    else:
        optimization = TinyOptimization()
    check_evaluation(evaluation, optimization)


@pytest.mark.parametrize("name", CONCRETE)
def test_model_without_the_capability_is_refused(name: str) -> None:
    evaluation = EVALUATIONS[name]
    with pytest.raises(TypeError, match=f"`{name}` needs a `{evaluation.requires.__name__}`"):
        run_evaluation(evaluation, TinyOptimization(model=nn.Linear(2, 2)))


@pytest.mark.slow
def test_slow_libraries_are_imported_when_needed_and_pyplot_never() -> None:
    program = """
import sys
from frame_core.testing import TinyOptimization
from frame_eval import ConfusionMatrixEvaluation, LatentSpaceEvaluation
assert not {"torchvision", "matplotlib"} & set(sys.modules)
for evaluation in (ConfusionMatrixEvaluation("valid"), LatentSpaceEvaluation("valid")):
    evaluation.evaluate(TinyOptimization())
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
