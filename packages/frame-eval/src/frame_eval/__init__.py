"""Evaluations that turn a training procedure into a log entry."""

from frame_eval.elbo import ELBOEvaluation
from frame_eval.reconstruction import ImageReconstructionEvaluation
from frame_eval.samples import ImageSampleEvaluation

__all__ = ["ELBOEvaluation", "ImageReconstructionEvaluation", "ImageSampleEvaluation"]
