"""Export of a model: weights with the lines of Python that load them, or a folder with a model card."""

from frame_train.runs.export.code import export_model
from frame_train.runs.export.model_card import write_repository

__all__ = ["export_model", "write_repository"]
