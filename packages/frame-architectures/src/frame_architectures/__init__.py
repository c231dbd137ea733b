"""Layers, priors and networks that turn tensors into distributions."""

from frame_architectures import digits, mnist
from frame_architectures.layers import Flatten, make_stack
from frame_architectures.priors import DiagonalNormal
from frame_architectures.stochastic import StochasticLinear

__all__ = ["DiagonalNormal", "Flatten", "StochasticLinear", "digits", "make_stack", "mnist"]
