"""Callbacks: when an evaluation runs, what of the training is logged, what the terminal shows."""

from frame_train.callbacks.cumulative_log import CumulativeLogCallback
from frame_train.callbacks.evaluation import EvaluationCallback
from frame_train.callbacks.progress_bar import ProgressBar

__all__ = ["CumulativeLogCallback", "EvaluationCallback", "ProgressBar"]
