"""Contracts to hold a class to, one check per interface, and the smallest components that keep them.

A project that writes a model, an architecture, an evaluation or a logger of its own calls the same
checks in its tests as the packages of frame do in theirs.
"""

from frame_core.testing.checks import (
    check_conditional_distribution,
    check_evaluation,
    check_logger,
    check_marginal_distribution,
    check_model,
)
from frame_core.testing.doubles import TinyModel, TinyOptimization, make_tiny_data

__all__ = [
    "TinyModel",
    "TinyOptimization",
    "check_conditional_distribution",
    "check_evaluation",
    "check_logger",
    "check_marginal_distribution",
    "check_model",
    "make_tiny_data",
]
