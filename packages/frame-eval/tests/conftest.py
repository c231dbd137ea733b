from collections.abc import Generator
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch.utils._python_dispatch import TorchDispatchMode

settings.register_profile("unhurried", deadline=None)  # a busy machine is slow
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """Use one thread: more do not speed up networks this small, and slow them down on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class ReadCounter(TorchDispatchMode):
    """Counts how often the value of a tensor is read, which waits for the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.n_reads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **kwargs or {})


@pytest.fixture
def read_counter() -> ReadCounter:
    return ReadCounter()
