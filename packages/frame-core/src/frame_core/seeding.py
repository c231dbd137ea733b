"""Seeds of the global generators of random numbers."""

import functools
import random
import sys
from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Seed the generators as `seed_generators` does, and restore their states on exit.

    Args:
        seed: The seed, a non-negative number of at most 64 bits.
    """
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    accelerator = _find_accelerator()
    device_type = accelerator or "cuda"  # any type will do for no device
    n_devices = torch.accelerator.device_count() if accelerator else 0
    try:
        with torch.random.fork_rng(range(n_devices), device_type=device_type):
            seed_generators(seed)
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (CPU and every device of the accelerator).

    `torch.manual_seed` does so too, but on a machine without an accelerator it takes a stack trace at each call.

    Args:
        seed: The seed, a non-negative number of at most 64 bits.
    """
    random.seed(seed)
    numpy = sys.modules.get("numpy")  # core does not depend on NumPy; if it is not imported, nothing draws from it
    if numpy:
        numpy.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if _find_accelerator():
        devices = torch.get_device_module()
        getattr(devices, "manual_seed_all", devices.manual_seed)(seed)


@functools.cache  # the search takes longer than the seeding
def _find_accelerator() -> str | None:
    """Return the type of the accelerator, or None if this machine has none."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator.type if accelerator else None
