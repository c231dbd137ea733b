"""Evaluations of models during and after training."""

from frame_eval import small_classifier
from frame_eval.distances.class_coverage import ClassCoverageEvaluation
from frame_eval.distances.frechet_distance import FrechetDistanceEvaluation
from frame_eval.distances.kernel_distance import KernelDistanceEvaluation
from frame_eval.distances.precision_recall import PrecisionRecallEvaluation
from frame_eval.distances.wasserstein_distance import WassersteinDistanceEvaluation
from frame_eval.likelihoods.active_units import ActiveUnitsEvaluation
from frame_eval.likelihoods.elbo import ELBOEvaluation
from frame_eval.likelihoods.log_likelihood import LogLikelihoodEvaluation
from frame_eval.likelihoods.loss import LossEvaluation
from frame_eval.likelihoods.rate_distortion import RateDistortionEvaluation
from frame_eval.part import PartEvaluation
from frame_eval.pictures.interpolation import InterpolationEvaluation
from frame_eval.pictures.latent_space import LatentSpaceEvaluation
from frame_eval.pictures.latent_traversal import LatentTraversalEvaluation
from frame_eval.pictures.points import PointSampleEvaluation
from frame_eval.pictures.reconstruction import ImageReconstructionEvaluation
from frame_eval.pictures.samples import ImageSampleEvaluation
from frame_eval.predictions.accuracy import AccuracyEvaluation
from frame_eval.predictions.base import PredictionEvaluation
from frame_eval.predictions.calibration import CalibrationEvaluation, ReliabilityDiagramEvaluation
from frame_eval.predictions.confusion_matrix import ConfusionMatrixEvaluation
from frame_eval.predictions.rejection_curve import RejectionCurveEvaluation
from frame_eval.representations.dci import DCIEvaluation
from frame_eval.representations.factor_vae_score import FactorVAEScoreEvaluation
from frame_eval.representations.linear_probe import LinearProbeEvaluation
from frame_eval.representations.mutual_information_gap import MutualInformationGapEvaluation
from frame_eval.representations.nearest_neighbor_probe import NearestNeighborProbeEvaluation
from frame_eval.representations.sap import SAPEvaluation

__all__ = [
    "AccuracyEvaluation",
    "ActiveUnitsEvaluation",
    "CalibrationEvaluation",
    "ClassCoverageEvaluation",
    "ConfusionMatrixEvaluation",
    "DCIEvaluation",
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
    "SAPEvaluation",
    "WassersteinDistanceEvaluation",
    "small_classifier",
]
