"""The report of a run: one HTML file with its metrics, curves, images, config and environment."""

from frame_train.report.page import write_report

__all__ = ["write_report"]
