"""Callbacks: evaluations, checkpoints, logs, stopping, and the progress bar."""

from frame_train.callbacks.checkpoints import BestCheckpoint, PeriodicCheckpoint
from frame_train.callbacks.cumulative_log import CumulativeLogCallback
from frame_train.callbacks.ending.early_stopping import EarlyStopping
from frame_train.callbacks.ending.stopping import StopOnSignal
from frame_train.callbacks.ending.train_duration import TrainDurationCallback
from frame_train.callbacks.evaluation import EvaluationCallback
from frame_train.callbacks.learning_rate import LearningRateCallback
from frame_train.callbacks.profile import Profile
from frame_train.callbacks.progress_bar import ProgressBar

__all__ = [
    "BestCheckpoint",
    "CumulativeLogCallback",
    "EarlyStopping",
    "EvaluationCallback",
    "LearningRateCallback",
    "PeriodicCheckpoint",
    "Profile",
    "ProgressBar",
    "StopOnSignal",
    "TrainDurationCallback",
]
