"""Stateless seeding: every seed is derived from the run's seed and a position in the run.

A resumed run draws the same numbers, because there is no state of a generator to restore.
"""

import functools
import hashlib
import os
import random

import numpy as np
import torch


def derive_seed(seed: int, *position: int | str) -> int:
    """Derive a seed from the run's seed and a position in the run.

    Args:
        seed: The run's seed.
        position: Words and numbers, such as ``"noise", epoch, batch``. Different positions have different seeds.

    Returns:
        A number of 63 bits.
    """
    digest = hashlib.blake2b(repr((seed, *position)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch, on the CPU and on an accelerator."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if _has_accelerator():
        torch.get_device_module().manual_seed(seed)


@functools.cache
def _has_accelerator() -> bool:
    """Return whether torch finds an accelerator. The search takes longer than the seeding."""
    return torch.accelerator.is_available()


def get_run_seed() -> int:
    """Return the run's seed, which Lightning's `seed_everything` stores in the environment, or else torch's seed."""
    return int(os.environ.get("PL_GLOBAL_SEED", torch.initial_seed()))
