"""The closing page of a run: one file that shows its curves, pictures, config and environment."""

from frame_train.report.page import write_report

__all__ = ["write_report"]
