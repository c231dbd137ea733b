from collections.abc import Generator

import pytest
import torch
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a busy machine is slow
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """Use one thread: more do not speed up networks this small, and slow them down on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
