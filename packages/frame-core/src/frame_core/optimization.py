"""Contract of an optimization, as evaluations and callbacks see it."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from frame_core.data import SizedDataset
from frame_core.models import Model


@runtime_checkable
class Optimization(Protocol):
    """A model, the data it is trained on, and counters of its progress."""

    @property
    def model(self) -> Model:
        """The model that is trained."""
        ...

    @property
    def data(self) -> Mapping[str, SizedDataset]:
        """The splits of the data: ``train``, ``valid``, ``test`` and others."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """Counters by name: at least ``iteration``, the number of training steps so far."""
        ...
