"""Layers, priors and networks that turn tensors into distributions.

`Flow` is imported on first access, because it requires zuko.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frame_architectures import digits, mnist
from frame_architectures.codebook import Codebook
from frame_architectures.critics import BilinearCritic, LatentDiscriminator, PairCritic, SeparableCritic
from frame_architectures.layers import AnyBatch, Flatten, Rescale, make_stack
from frame_architectures.logit import LogitDensity
from frame_architectures.pixel_cnn import PixelCNN
from frame_architectures.priors import (
    DiagonalNormal,
    MixtureOfGaussians,
    RingOfGaussians,
    UniformCategorical,
    VampPrior,
)
from frame_architectures.stochastic import StochasticLinear
from frame_architectures.vector_field import VectorField

if TYPE_CHECKING:
    from frame_architectures.flow import Flow

__all__ = [
    "AnyBatch",
    "BilinearCritic",
    "Codebook",
    "DiagonalNormal",
    "Flatten",
    "Flow",
    "LatentDiscriminator",
    "LogitDensity",
    "MixtureOfGaussians",
    "PairCritic",
    "PixelCNN",
    "Rescale",
    "RingOfGaussians",
    "SeparableCritic",
    "StochasticLinear",
    "UniformCategorical",
    "VampPrior",
    "VectorField",
    "digits",
    "make_stack",
    "mnist",
]

_MODULES = {"Flow": "flow"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
