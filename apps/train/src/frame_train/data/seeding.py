"""Stateless seeding: every seed is derived from the run's seed and a position in the run.

A resumed run draws the same numbers, because there is no state of a generator to restore.
"""

import hashlib
import os

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


def get_run_seed() -> int:
    """Return the run's seed, which Lightning's `seed_everything` stores in the environment, or else torch's seed."""
    return int(os.environ.get("PL_GLOBAL_SEED", torch.initial_seed()))
