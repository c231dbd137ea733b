"""Checks of the contracts, one per interface, and minimal components that satisfy them.

Use them in the tests of your own models, architectures, evaluations and loggers, as frame's packages do.
"""

from frame_core.testing.checks import (
    check_conditional_distribution,
    check_evaluation,
    check_logger,
    check_marginal_distribution,
    check_model,
)
from frame_core.testing.doubles import TinyConditionalModel, TinyModel, TinyOptimization, make_tiny_data

__all__ = [
    "TinyConditionalModel",
    "TinyModel",
    "TinyOptimization",
    "check_conditional_distribution",
    "check_evaluation",
    "check_logger",
    "check_marginal_distribution",
    "check_model",
    "make_tiny_data",
]
