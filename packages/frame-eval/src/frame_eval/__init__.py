"""Evaluations of models during and after training."""

from frame_eval.accuracy import AccuracyEvaluation
from frame_eval.active_units import ActiveUnitsEvaluation
from frame_eval.calibration import CalibrationEvaluation, ReliabilityDiagramEvaluation
from frame_eval.class_coverage import ClassCoverageEvaluation
from frame_eval.confusion_matrix import ConfusionMatrixEvaluation
from frame_eval.elbo import ELBOEvaluation
from frame_eval.factor_vae_score import FactorVAEScoreEvaluation
from frame_eval.frechet_distance import FrechetDistanceEvaluation
from frame_eval.interpolation import InterpolationEvaluation
from frame_eval.kernel_distance import KernelDistanceEvaluation
from frame_eval.latent_space import LatentSpaceEvaluation
from frame_eval.latent_traversal import LatentTraversalEvaluation
from frame_eval.linear_probe import LinearProbeEvaluation
from frame_eval.log_likelihood import LogLikelihoodEvaluation
from frame_eval.loss import LossEvaluation
from frame_eval.mutual_information_gap import MutualInformationGapEvaluation
from frame_eval.nearest_neighbor_probe import NearestNeighborProbeEvaluation
from frame_eval.part import PartEvaluation
from frame_eval.points import PointSampleEvaluation
from frame_eval.precision_recall import PrecisionRecallEvaluation
from frame_eval.predictions import PredictionEvaluation
from frame_eval.rate_distortion import RateDistortionEvaluation
from frame_eval.reconstruction import ImageReconstructionEvaluation
from frame_eval.rejection_curve import RejectionCurveEvaluation
from frame_eval.samples import ImageSampleEvaluation
from frame_eval.wasserstein_distance import WassersteinDistanceEvaluation

__all__ = [
    "AccuracyEvaluation",
    "ActiveUnitsEvaluation",
    "CalibrationEvaluation",
    "ClassCoverageEvaluation",
    "ConfusionMatrixEvaluation",
    "ELBOEvaluation",
    "FactorVAEScoreEvaluation",
    "FrechetDistanceEvaluation",
    "ImageReconstructionEvaluation",
    "ImageSampleEvaluation",
    "InterpolationEvaluation",
    "KernelDistanceEvaluation",
    "LatentSpaceEvaluation",
    "LatentTraversalEvaluation",
    "LinearProbeEvaluation",
    "LogLikelihoodEvaluation",
    "LossEvaluation",
    "MutualInformationGapEvaluation",
    "NearestNeighborProbeEvaluation",
    "PartEvaluation",
    "PointSampleEvaluation",
    "PrecisionRecallEvaluation",
    "PredictionEvaluation",
    "RateDistortionEvaluation",
    "RejectionCurveEvaluation",
    "ReliabilityDiagramEvaluation",
    "WassersteinDistanceEvaluation",
]
