"""Optimization procedures: how a model is updated."""

from frame_train.optimization.adam import AdamBatchOptimization

__all__ = ["AdamBatchOptimization"]
