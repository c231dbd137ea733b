"""Randomness that is a function of where a run is, so that there is no state of it to save.

A run that is resumed draws what it would have drawn: no generator has to be put back.
"""

import hashlib
import random

import numpy as np
import torch


def make_key(seed: int, *place: int | str) -> int:
    """Give a seed that is a function of a run's seed and of a place in the run.

    Args:
        seed: The run's seed.
        place: Words and numbers, such as ``"noise", epoch, batch``; another place has another seed.

    Returns:
        A number of 63 bits.
    """
    digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def seed_generators(key: int) -> None:
    """Seed the global generators of Python, NumPy and torch, on the CPU and on an accelerator."""
    random.seed(key)
    np.random.seed(key % 2**32)
    torch.default_generator.manual_seed(key)
    if torch.accelerator.is_available():
        torch.get_device_module().manual_seed(key)
