"""A run that was trained, brought back from its directory."""

from frame_train.stored.run import Run, load_run

__all__ = ["Run", "load_run"]
